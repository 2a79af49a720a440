// morestack_nested.c: static chains, which travel in r10 and wait in rax while __morestack runs.
// gcc only.
// compiler: gcc

#include <stdarg.h>
#include <stdint.h>

__attribute__((noinline)) uint64_t MorestackNested(void) {
  uint64_t base = 12345;
  __attribute__((noinline)) uint64_t Inner(uint64_t x) {
    ++base;
    return base * x;
  }
  return Inner(3) + Inner(9) * 31 + base;
}

// Both fix-ups behind one call of __morestack: the chain's move and the va_start pointer.
__attribute__((noinline)) uint64_t MorestackNestedVarargs(void) {
  uint64_t base = 777;
  __attribute__((noinline)) uint64_t Inner(int count, ...) {
    va_list list;
    va_start(list, count);
    uint64_t sum = base++;
    for (int i = 0; i < count; ++i) sum = sum * 31 + va_arg(list, uint64_t);
    va_end(list);
    return sum;
  }
  const uint64_t one = 1;
  return Inner(9, one, one * 2, one * 3, one * 4, one * 5, one * 6, one * 7, one * 8, one * 9) +
         base;
}

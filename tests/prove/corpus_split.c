// corpus_split.c: instrumented code, so that the proof steps through __morestack, alloca's hook and
// the way back.

#include <alloca.h>
#include <stdarg.h>
#include <stdint.h>

struct Words {
  uint64_t word[9];
};

__attribute__((noinline)) static uint64_t SplitByValue(struct Words w, long double x, uint64_t a) {
  volatile struct Words copy = w;
  return copy.word[0] + copy.word[8] * 3 + (uint64_t)x + a;
}

__attribute__((noinline)) static uint64_t SplitRegisters(uint64_t a, uint64_t b, uint64_t c,
                                                         uint64_t d, uint64_t e, uint64_t f,
                                                         double x, double y, uint64_t g) {
  volatile uint64_t sum = a + 3 * b + 5 * c + 7 * d + 11 * e + 13 * f + 17 * g + (uint64_t)(x * y);
  return sum;
}

__attribute__((noinline)) static uint64_t SplitLarge(uint64_t a) {
  volatile unsigned char block[8192];
  block[0] = (unsigned char)a;
  block[8191] = (unsigned char)(a >> 8);
  return block[0] * 256u + block[8191];
}

__attribute__((noinline)) static uint64_t SplitAlloca(uint64_t n) {
  volatile unsigned char* block = alloca(n);
  for (uint64_t i = 0; i < n; i += 8) block[i] = (unsigned char)i;
  return block[n - n % 8 - 8];
}

#ifndef __clang__
__attribute__((noinline)) static uint64_t SplitVarargs(int count, ...) {
  va_list list;
  va_start(list, count);
  uint64_t sum = 0;
  for (int i = 0; i < count; ++i)
    sum = sum * 31 + va_arg(list, uint64_t) + (uint64_t)va_arg(list, double);
  va_end(list);
  return sum;
}

// Called directly, with its static chain in r10: a pointer to it would need a trampoline on an
// executable stack.
__attribute__((noinline)) static uint64_t SplitNested(uint64_t base) {
  uint64_t calls = 0;
  __attribute__((noinline)) uint64_t Inner(uint64_t x) {
    ++calls;
    return base * x;
  }
  return Inner(3) + Inner(9) + calls;
}
#endif

uint64_t corpus_split(void* scratch) {
  const uint64_t* words = scratch;
  struct Words w;
  for (int i = 0; i < 9; ++i) w.word[i] = words[i];
  uint64_t sum = SplitByValue(w, 3.0L, words[1]);
  sum = sum * 31 + SplitRegisters(words[0], words[1], words[2], words[3], words[4], words[5], 2.5,
                                  4.0, words[6]);
  sum = sum * 31 + SplitLarge(words[7]);
  sum = sum * 31 + SplitAlloca(100 + (words[8] & 63));
#ifndef __clang__
  sum = sum * 31 + SplitVarargs(10, words[0], 1.0, words[1], 2.0, words[2], 3.0, words[3], 4.0,
                                words[4], 5.0, words[5], 6.0, words[6], 7.0, words[7], 8.0,
                                words[8], 9.0, words[9], 10.0);
  sum = sum * 31 + SplitNested(words[2]);
#endif
  return sum;
}

// Recursion with prologue checks whose frames hold patterns, passes arguments in every way, and
// makes room by alloca.
// clang 14 can't compile functions with varargs with split stacks.
// compiler: g++

#include <alloca.h>

#include <cstdarg>
#include <cstring>

#include "stress/storm/canary.h"

namespace storm {
namespace {

std::uint64_t Mix(std::uint64_t x) {
  x ^= x >> 31;
  x *= 0x9e3779b97f4a7c15u;
  return x ^ (x >> 29);
}

[[gnu::noinline]] std::uint64_t SumVarargs(int n, ...) {
  va_list args;
  va_start(args, n);
  std::uint64_t sum = 0;
  for (int i = 0; i < n; ++i) {
    sum += va_arg(args, std::uint64_t);
    sum += static_cast<std::uint64_t>(va_arg(args, double));
  }
  va_end(args);
  return sum;
}

[[gnu::noinline]] bool ManyArguments(std::uint64_t a, std::uint64_t b, std::uint64_t c,
                                     std::uint64_t d, std::uint64_t e, std::uint64_t f, double x,
                                     double y, std::uint64_t g, std::uint64_t h) {
  std::uint64_t sum = SumVarargs(4, a, x, b, y, c, x, d, y);
  return sum == a + b + c + d + 2 * static_cast<std::uint64_t>(x) +
                    2 * static_cast<std::uint64_t>(y) &&
         e == a + 1 && f == b + 1 && g == c + 1 && h == d + 1;
}

}  // namespace

[[gnu::noinline]] bool StackHolds(std::uint64_t seed, int depth) {
  std::uint64_t pattern[24];
  for (std::uint64_t i = 0; i < 24; ++i) pattern[i] = Mix(seed + i);
  const std::size_t extra = 16 + seed % 200;
  auto* block = static_cast<unsigned char*>(alloca(extra));
  std::memset(block, static_cast<int>(seed & 0xff), extra);
  asm volatile("" : : "r"(pattern), "r"(block) : "memory");

  const std::uint64_t s = seed & 0xffff;
  if (!ManyArguments(s, s + 2, s + 4, s + 6, s + 1, s + 3, 7, 9, s + 5, s + 7)) return false;
  if (depth > 0 && !StackHolds(Mix(seed), depth - 1)) return false;
  if (depth > 0 && depth % 5 == 0 && !StackHolds(Mix(seed + 1), depth / 2)) return false;

  for (std::uint64_t i = 0; i < 24; ++i) {
    if (pattern[i] != Mix(seed + i)) return false;
  }
  for (std::size_t i = 0; i < extra; ++i) {
    if (block[i] != (seed & 0xff)) return false;
  }
  return true;
}

}  // namespace storm

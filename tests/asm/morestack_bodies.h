// The functions behind morestack_cases.h. Included by one file a compiler, each of which defines
// URGE_CASES as GccCases or ClangCases.

#ifndef URGE_TESTS_ASM_MORESTACK_BODIES_H_
#define URGE_TESTS_ASM_MORESTACK_BODIES_H_

#include "tests/asm/morestack_cases.h"

#include <alloca.h>
#include <immintrin.h>

#include <cstdarg>
#include <cstring>

namespace urge::test {
namespace {

#define URGE_CASE [[gnu::noinline]] static

struct Words {
  std::uint64_t word[9];
};

struct TwoWords {
  std::uint64_t a, b;
};

struct TwoDoubles {
  double a, b;
};

std::uint64_t Digest(const void* p, std::size_t bytes) {
  std::uint64_t sum = bytes;
  for (std::size_t i = 0; i < bytes; ++i) sum = sum * 131 + static_cast<const unsigned char*>(p)[i];
  return sum;
}

URGE_CASE std::uint64_t TakeRegisters(std::uint64_t a, std::uint64_t b, std::uint64_t c,
                                      std::uint64_t d, std::uint64_t e, std::uint64_t f, double p,
                                      double q, double r, double s, double t, double u, double v,
                                      double w) {
  volatile double sum = p + 2 * q + 3 * r + 4 * s + 5 * t + 6 * u + 7 * v + 8 * w;
  return a + 3 * b + 5 * c + 7 * d + 11 * e + 13 * f + static_cast<std::uint64_t>(sum);
}
std::uint64_t Registers() {
  return TakeRegisters(1, 2, 3, 4, 5, 6, .5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5);
}

URGE_CASE std::uint64_t TakeStack(Words w, std::uint64_t a, std::uint64_t b, std::uint64_t c,
                                  std::uint64_t d, std::uint64_t e, std::uint64_t f,
                                  std::uint64_t g, std::uint64_t h, long double x) {
  return Digest(&w, sizeof w) + a + b + c + d + e + f * 3 + g * 5 + h * 7 +
         static_cast<std::uint64_t>(x * 3);
}
std::uint64_t StackArguments() {
  return TakeStack({{1, 2, 3, 4, 5, 6, 7, 8, 9}}, 1, 2, 3, 4, 5, 6, 7, 8, 2.5L);
}

// clang checks no frameless leaf, hence the locals.
URGE_CASE TwoWords GiveTwoWords(std::uint64_t x) {
  volatile std::uint64_t a[40] = {x};
  return {a[0] * 3, a[0] * 5};
}
URGE_CASE TwoDoubles GiveTwoDoubles(double x) {
  volatile double a[40] = {x};
  return {a[0] * 3, a[0] * 5};
}
URGE_CASE long double GiveLongDouble(long double x) {
  volatile long double a[20] = {x};
  return a[0] * 3;
}
URGE_CASE _Complex long double GiveComplex(long double x) {
  volatile long double b[20] = {x};
  const long double a = b[0];
  _Complex long double z;
  __real__ z = a * 7;
  __imag__ z = a * 11;
  return z;
}
std::uint64_t Results() {
  const TwoWords w = GiveTwoWords(17);
  const TwoDoubles d = GiveTwoDoubles(2.25);
  const long double l = GiveLongDouble(1.125L);
  const _Complex long double z = GiveComplex(2.0L);
  return w.a + w.b * 31 + static_cast<std::uint64_t>(d.a * 4) * 101 +
         static_cast<std::uint64_t>(d.b * 4) * 103 + static_cast<std::uint64_t>(l * 8) * 107 +
         static_cast<std::uint64_t>(__real__ z) * 109 +
         static_cast<std::uint64_t>(__imag__ z) * 113;
}

template <std::size_t bytes>
[[gnu::noinline]] std::uint64_t LargeFrame(std::uint64_t a) {
  volatile unsigned char block[bytes];
  for (std::size_t i = 0; i < bytes; i += bytes / 8) block[i] = static_cast<unsigned char>(a + i);
  block[bytes - 1] = static_cast<unsigned char>(a);
  std::uint64_t sum = block[bytes - 1];
  for (std::size_t i = 0; i < bytes; i += bytes / 8) sum = sum * 31 + block[i];
  return sum;
}
std::uint64_t Frame8KiB() { return LargeFrame<8 << 10>(5); }
std::uint64_t Frame1MiB() { return LargeFrame<1 << 20>(6); }

URGE_CASE std::uint64_t Sum(const volatile unsigned char* p, std::size_t n) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum = sum * 31 + p[i];
  return sum;
}
URGE_CASE std::uint64_t TakeNine(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d,
                                 std::uint64_t e, std::uint64_t f, std::uint64_t g, std::uint64_t h,
                                 const volatile unsigned char* p) {
  volatile std::uint64_t sum = a + b + c + d + e + f + g * 3 + h * 5 + p[0];
  return sum;
}
// The blocks of successive allocas must be distinct and survive calls with stack arguments.
URGE_CASE std::uint64_t TakeAlloca(std::size_t n) {
  auto* a = static_cast<volatile unsigned char*>(alloca(n));
  std::memset(const_cast<unsigned char*>(a), 1, n);
  std::uint64_t sum = TakeNine(1, 2, 3, 4, 5, 6, 7, 8, a);
  auto* b = static_cast<volatile unsigned char*>(alloca(3 * n));
  std::memset(const_cast<unsigned char*>(b), 2, 3 * n);
  sum += TakeNine(1, 2, 3, 4, 5, 6, 7, 8, b);
  return sum + Sum(a, n) + Sum(b, 3 * n);
}
std::uint64_t Alloca() { return TakeAlloca(1) + TakeAlloca(77) * 3 + TakeAlloca(20000) * 5; }

URGE_CASE std::uint64_t TakeArray(std::size_t n) {
  std::uint64_t sum = 0;
  for (std::size_t i = 1; i < 4; ++i) {
    volatile unsigned char block[n * i];
    for (std::size_t k = 0; k < n * i; ++k) block[k] = static_cast<unsigned char>(k + i);
    sum += StackArguments() + Sum(block, n * i);
  }
  return sum;
}
std::uint64_t VariableLengthArray() { return TakeArray(3) + TakeArray(5000); }

URGE_CASE std::uint64_t Recurse(std::uint64_t depth, std::uint64_t a) {
  volatile std::uint64_t here = a * 3 + depth;
  return depth == 0 ? here : Recurse(depth - 1, here) * 5 + here;
}
std::uint64_t Recursion() { return Recurse(20, 1); }

struct Unwound {
  std::uint64_t* sum;
  ~Unwound() { *sum = *sum * 7 + 1; }
};
URGE_CASE void Throw(int depth, std::uint64_t* sum) {
  Unwound unwound{sum};
  if (depth == 0) throw *sum;
  Throw(depth - 1, sum);
}
std::uint64_t Exceptions() {
  std::uint64_t sum = 2;
  for (int depth : {0, 1, 5}) {
    try {
      try {
        Throw(depth, &sum);
      } catch (std::uint64_t thrown) {
        sum += thrown;
        throw;
      }
    } catch (...) {
      sum *= 3;
    }
  }
  return sum + Registers();
}

[[gnu::noinline, gnu::target("avx512f")]] __m512i TakeVectors(__m512i a, __m512i b, __m512i c,
                                                              __m512i d, __m512i e, __m512i f,
                                                              __m512i g, __m512i h,
                                                              __m512i on_stack) {
  const __m512i x =
      _mm512_add_epi64(_mm512_add_epi64(_mm512_add_epi64(a, b), _mm512_add_epi64(c, d)), on_stack);
  const __m512i y = _mm512_xor_si512(_mm512_xor_si512(e, f), _mm512_xor_si512(g, h));
  return _mm512_add_epi64(x, _mm512_add_epi64(y, y));
}
[[gnu::target("avx512f")]] std::uint64_t Vectors() {
  __m512i v[9];
  for (int i = 0; i < 9; ++i)
    v[i] = _mm512_set_epi64(i, i * 3, i * 5, i * 7, i * 11, i * 13, i * 17, i * 19 + 1);
  const __m512i r = TakeVectors(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]);
  std::uint64_t words[8];
  _mm512_storeu_si512(words, r);
  return Digest(words, sizeof words);
}

#ifndef __clang__
URGE_CASE std::uint64_t TakeVarargs(int count, ...) {
  std::va_list list;
  va_start(list, count);
  std::uint64_t sum = 0;
  for (int i = 0; i < count; ++i) {
    sum = sum * 31 + va_arg(list, std::uint64_t) +
          static_cast<std::uint64_t>(va_arg(list, double) * 2);
  }
  sum += static_cast<std::uint64_t>(va_arg(list, long double));
  va_end(list);
  return sum;
}
std::uint64_t Varargs() {
  const std::uint64_t one = 1;
  return TakeVarargs(10, one, 1., one + 1, 2., one + 2, 3., one + 3, 4., one + 4, 5., one + 5, 6.,
                     one + 6, 7., one + 7, 8., one + 8, 9., one + 9, 10., 11.0L);
}
#endif

}  // namespace

std::vector<MorestackCase> URGE_CASES() {
  return {
      {"Registers", Registers, nullptr},
      {"StackArguments", StackArguments, nullptr},
      {"Results", Results, nullptr},
      {"Frame8KiB", Frame8KiB, nullptr},
      {"Frame1MiB", Frame1MiB, nullptr},
      {"Alloca", Alloca, nullptr},
      {"VariableLengthArray", VariableLengthArray, nullptr},
      {"Recursion", Recursion, nullptr},
      {"Exceptions", Exceptions, nullptr},
      {"Vectors", Vectors, "avx512f"},
#ifndef __clang__
      {"Varargs", Varargs, nullptr},
#endif
  };
}

}  // namespace urge::test

#endif  // URGE_TESTS_ASM_MORESTACK_BODIES_H_

// Instrumented hogs of preempt_test.

#include "tests/preempt/hogs_split.h"

namespace hogs {
namespace {

[[gnu::noinline]] std::uint64_t Fib(std::uint64_t n) {
  asm volatile("" : "+r"(n));
  return n < 2 ? n : Fib(n - 1) + Fib(n - 2);
}

}  // namespace

void RecurseUntil(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) {
    std::uint64_t n = Fib(12);
    asm volatile("" : : "r"(n));
  }
}

int CompareInts(const void* a, const void* b) {
  const int x = *static_cast<const int*>(a), y = *static_cast<const int*>(b);
  std::uint64_t n = Fib(6);  // many prologues
  asm volatile("" : : "r"(n));
  return (x > y) - (x < y);
}

}  // namespace hogs

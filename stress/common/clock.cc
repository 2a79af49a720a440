// Calibrating the time stamp counter.

#include "stress/common/clock.h"

#include <cpuid.h>
#include <time.h>

namespace stress {
namespace {

struct Instant {
  std::uint64_t ticks;
  std::int64_t ns;
};

// Both clocks at one instant: of several tries, the one with the least time in between.
Instant Now() {
  Instant best{};
  std::uint64_t best_width = ~std::uint64_t{0};
  for (int i = 0; i < 20; ++i) {
    timespec t;
    const std::uint64_t before = ReadTicks();
    clock_gettime(CLOCK_MONOTONIC, &t);
    const std::uint64_t width = ReadTicks() - before;
    if (width < best_width) {
      best_width = width;
      best = {before + width / 2, std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec};
    }
  }
  return best;
}

double Calibrate() {
  const Instant begin = Now();
  const timespec pause{0, 20'000'000};
  nanosleep(&pause, nullptr);
  const Instant end = Now();
  return static_cast<double>(end.ticks - begin.ticks) / static_cast<double>(end.ns - begin.ns);
}

}  // namespace

bool TicksAreInvariant() {
  constexpr unsigned kPowerLeaf = 0x8000'0007, kInvariantTsc = 1u << 8;
  unsigned a, b, c, d;
  return __get_cpuid(kPowerLeaf, &a, &b, &c, &d) != 0 && (d & kInvariantTsc) != 0;
}

double TicksPerNs() {
  static const double rate = Calibrate();
  return rate;
}

}  // namespace stress

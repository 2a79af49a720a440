// The time stamp counter as a clock.

#include "runtime/base/ticks.h"

#include <gtest/gtest.h>
#include <time.h>

#include <cmath>
#include <cstdint>

#include "runtime/base/os.h"

namespace urge::base {
namespace {

// A span measured by both clocks at once, which a loaded machine may stretch for one of them.
double RatioOverSpan() {
  const std::uint64_t ns_before = NowNs(), ticks_before = Ticks();
  const timespec pause{0, 5'000'000};
  nanosleep(&pause, nullptr);
  const std::uint64_t ns = NowNs() - ns_before, ticks = Ticks() - ticks_before;
  return static_cast<double>(NsOfTicks(ticks)) / static_cast<double>(ns);
}

TEST(TicksTest, AgreesWithTheMonotonicClock) {
  InitTicks();
  double best = 2;
  for (int i = 0; i < 100 && std::abs(best - 1) > 0.001; ++i) {
    const double ratio = RatioOverSpan();
    if (std::abs(ratio - 1) < std::abs(best - 1)) best = ratio;
  }
  EXPECT_NEAR(best, 1.0, 0.001);
}

TEST(TicksTest, ThereAndBackAgain) {
  InitTicks();
  RatioOverSpan();  // the longer ago the start, the better the rate
  for (const std::uint64_t ns : {1'000u, 1'000'000u, 1'000'000'000u}) {
    EXPECT_NEAR(static_cast<double>(NsOfTicks(TicksOfNs(ns))), static_cast<double>(ns),
                static_cast<double>(ns) * 0.01);
  }
}

TEST(TicksTest, NeverGoesBack) {
  std::uint64_t last = Ticks();
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t now = Ticks();
    ASSERT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace urge::base

// Sleeping: never too short, and anything that a duration can say.
//
// Ten thousand sleepers are more than TSan has memory and numbers for.
// skip: tsan

#include <urge/detail/clock.h>
#include <urge/urge.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <thread>
#include <vector>

#include "tests/testing/procs.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using urge::detail::forever_ns;
using urge::detail::saturated_ns;

class SleepTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(SleepTest);

TEST_P(SleepTest, NeverEndsTooEarly) {
  const auto sleep = [] {
    for (const auto d : {1us, 50us, 1000us, 3000us}) {
      const auto begin = Clock::now();
      urge::sleep_for(d);
      EXPECT_GE(Clock::now() - begin, d);
      const auto until = Clock::now() + d;
      urge::sleep_until(until);
      EXPECT_GE(Clock::now(), until);
    }
  };
  sleep();
  urge::run(sleep);
}

TEST_P(SleepTest, ZeroAndNegativeReturn) {
  const auto sleep = [] {
    urge::sleep_for(0s);
    urge::sleep_for(-1s);
    urge::sleep_for(std::chrono::hours::min());
    urge::sleep_for(std::chrono::duration<double>(-1e300));
    urge::sleep_for(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()));
    urge::sleep_until(Clock::time_point::min());
    urge::sleep_until(Clock::now() - 1h);
    urge::sleep_until(std::chrono::system_clock::time_point::min());
    urge::sleep_until(std::chrono::system_clock::now() - 1h);
  };
  sleep();
  urge::run(sleep);
}

TEST_P(SleepTest, OtherClocksAreConverted) {
  const auto sleep = [] {
    const auto until = std::chrono::system_clock::now() + 2ms;
    urge::sleep_until(until);
    EXPECT_GE(std::chrono::system_clock::now(), until);
    const auto coarse = std::chrono::time_point_cast<std::chrono::milliseconds>(Clock::now()) + 2ms;
    urge::sleep_until(coarse);
    EXPECT_GE(Clock::now(), coarse);
  };
  sleep();
  urge::run(sleep);
}

TEST_P(SleepTest, OthersRunMeanwhile) {
  urge::run([] {
    std::atomic<bool> woke{false};
    urge::go([&] {
      urge::sleep_for(5ms);
      woke = true;
    });
    int yields = 0;
    urge::testing::Await([&] {
      ++yields;
      return woke.load();
    });
    EXPECT_GT(yields, 1);
  });
}

TEST_P(SleepTest, SleepersWithManyDeadlinesWakeAfterTheirOwn) {
  auto random = urge::testing::Random();
  urge::run([&] {
    const auto base = Clock::now() + 2ms;
    std::atomic<int> woke{0};
    urge::wait_group wg;
    for (int i = 0; i < 1'000; ++i) {
      wg.go([&, until = base + std::chrono::microseconds(random() % 5'000)] {
        urge::sleep_until(until);
        EXPECT_GE(Clock::now(), until);
        ++woke;
      });
    }
    wg.wait();
    EXPECT_EQ(woke, 1'000);
  });
}

TEST_P(SleepTest, TenThousandSleepersAllWake) {
  urge::run([] {
    std::atomic<int> woke{0};
    urge::wait_group wg;
    for (int i = 0; i < 10'000; ++i) {
      wg.go([&, i] {
        urge::sleep_for(std::chrono::microseconds(i % 100));
        ++woke;
      });
    }
    wg.wait();
    EXPECT_EQ(woke, 10'000);
  });
}

TEST(Clock, DurationsSaturate) {
  EXPECT_EQ(saturated_ns(1s), 1'000'000'000);
  EXPECT_EQ(saturated_ns(-1ms), -1'000'000);
  EXPECT_EQ(saturated_ns(std::chrono::hours::max()), forever_ns);
  EXPECT_EQ(saturated_ns(std::chrono::hours::min()), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(saturated_ns(std::chrono::years(10'000)), forever_ns);
  EXPECT_EQ(saturated_ns(std::chrono::nanoseconds::max()), forever_ns);
  EXPECT_EQ(saturated_ns(std::chrono::duration<double>(1e300)), forever_ns);
  EXPECT_EQ(saturated_ns(std::chrono::duration<double, std::milli>(0.5)), 500'000);
  EXPECT_EQ(saturated_ns(std::chrono::duration<std::uint64_t>(~0ull)), forever_ns);
}

TEST(Clock, DurationsAreRoundedUp) {
  using picoseconds = std::chrono::duration<std::int64_t, std::pico>;
  EXPECT_EQ(saturated_ns(picoseconds(1)), 1);
  EXPECT_EQ(saturated_ns(picoseconds(1000)), 1);
  EXPECT_EQ(saturated_ns(picoseconds(1001)), 2);
  EXPECT_EQ(saturated_ns(picoseconds(-1)), 0);
  EXPECT_EQ(saturated_ns(std::chrono::duration<double, std::nano>(0.1)), 1);
}

TEST(Clock, TheEndOfTimeIsADeadline) {
  EXPECT_EQ(urge::detail::deadline_after(std::chrono::hours::max()),
            static_cast<std::uint64_t>(forever_ns));
  EXPECT_EQ(urge::detail::deadline_at(Clock::time_point::max()),
            static_cast<std::uint64_t>(forever_ns));
  // system_clock's is nearer, by the years since 1970.
  EXPECT_GT(urge::detail::deadline_at(std::chrono::system_clock::time_point::max()),
            static_cast<std::uint64_t>(saturated_ns(std::chrono::years(100))));
}

}  // namespace

// after(): the time comes once, and the channel may go before it does.

#include <urge/urge.h>

#include <chrono>
#include <thread>
#include <vector>

#include "tests/testing/procs.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class AfterTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(AfterTest);

TEST_P(AfterTest, TheTimeComesOnceAndNotTooEarly) {
  const auto wait = [] {
    const auto begin = Clock::now();
    const auto c = urge::after(2ms);
    EXPECT_EQ(c.capacity(), 1u);
    const auto t = c.recv();
    EXPECT_GE(*t - begin, 2ms);
    EXPECT_LE(*t, Clock::now());
    EXPECT_EQ(c.try_recv(), std::nullopt);
    EXPECT_FALSE(c.closed());
  };
  wait();
  urge::run(wait);
}

TEST_P(AfterTest, NobodyNeedsToWaitForIt) {
  urge::run([] {
    const auto c = urge::after(100us);
    urge::testing::Await([&] { return c.size() == 1; });
    EXPECT_TRUE(c.try_recv().has_value());
  });
}

TEST_P(AfterTest, ZeroNegativeAndForEver) {
  urge::run([] {
    EXPECT_TRUE(urge::after(0s).recv().has_value());
    EXPECT_TRUE(urge::after(-1h).recv().has_value());
    EXPECT_EQ(urge::after(std::chrono::hours::max()).try_recv(), std::nullopt);
  });
}

TEST_P(AfterTest, HandlesMayBeDroppedBeforeWhileAndAfterItFires) {
  auto random = urge::testing::Random();
  urge::run([&] {
    for (int i = 0; i < 20'000; ++i) {
      const auto c = urge::after(std::chrono::nanoseconds(random() % 20'000));
      if (i % 8 == 0) urge::yield();
    }
  });
  for (int i = 0; i < 2'000; ++i) {
    const auto c = urge::after(std::chrono::nanoseconds(random() % 20'000));
  }
}

TEST_P(AfterTest, ManyAtOnce) {
  urge::run([] {
    std::vector<urge::chan<Clock::time_point>> all;
    for (int i = 0; i < 2'000; ++i) all.push_back(urge::after(std::chrono::microseconds(i % 500)));
    for (const auto& c : all) EXPECT_TRUE(c.recv().has_value());
  });
}

}  // namespace

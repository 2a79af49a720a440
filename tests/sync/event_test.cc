// What detail::event promises.

#include <urge/detail/event.h>
#include <urge/urge.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "tests/testing/procs.h"

namespace {

using urge::detail::event;

class EventTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(EventTest);

std::uint64_t In(std::chrono::nanoseconds d) { return urge::detail::deadline_after(d); }

TEST_P(EventTest, SetReleasesEveryWaiterOfBothKinds) {
  event e;
  std::atomic<int> released{0};
  urge::wait_group wg;
  for (int i = 0; i < 20; ++i) {
    wg.go([&] {
      e.wait();
      ++released;
    });
  }
  std::thread thread([&] {
    e.wait();
    ++released;
  });
  EXPECT_FALSE(e.is_set());
  e.set();
  EXPECT_TRUE(e.is_set());
  wg.wait();
  thread.join();
  EXPECT_EQ(released, 21);
  e.wait();
}

TEST_P(EventTest, ItMayBeDestroyedAsSoonAsAWaiterReturns) {
  urge::run([] {
    for (int i = 0; i < 20'000; ++i) {
      auto e = std::make_unique<event>();
      urge::go([&e = *e] { e.set(); });
      if (i % 2 == 0) urge::yield();
      e->wait();
      e.reset();
    }
  });
}

TEST_P(EventTest, ItMayBeDestroyedAsSoonAsAWaitingThreadReturns) {
  for (int i = 0; i < 2'000; ++i) {
    auto e = std::make_unique<event>();
    urge::go([&e = *e] { e.set(); });
    e->wait();
    e.reset();
  }
}

TEST_P(EventTest, ADeadlineEndsTheWaitNotTooEarly) {
  const auto wait = [] {
    event e;
    EXPECT_FALSE(e.wait_until_ns(0));
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(e.wait_until_ns(In(std::chrono::milliseconds(2))));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(2));
    e.set();
    EXPECT_TRUE(e.wait_until_ns(0));
  };
  wait();
  urge::run(wait);
}

TEST_P(EventTest, DeadlinesAgainstSetAmongOtherWaiters) {
  auto random = urge::testing::Random();
  urge::run([&] {
    for (int i = 0; i < 2'000; ++i) {
      event e;
      urge::wait_group wg;
      std::atomic<int> set{0}, late{0};
      for (int k = 0; k < 6; ++k) {
        const auto d = std::chrono::microseconds(random() % 60);
        wg.go([&, d] { ++(e.wait_until_ns(In(d)) ? set : late); });
      }
      wg.go([&] { e.wait(); });
      for (auto n = random() % 8; n > 0; --n) urge::yield();
      e.set();
      wg.wait();
      ASSERT_EQ(set + late, 6);
    }
  });
}

}  // namespace

// What urge::wait_group promises.

#include <urge/urge.h>

#include <atomic>
#include <climits>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/testing/procs.h"

namespace {

class WaitGroupTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(WaitGroupTest);

TEST_P(WaitGroupTest, WaitReturnsAtOnceWhenThereIsNothing) {
  urge::wait_group wg;
  wg.wait();
  wg.add(2);
  wg.done();
  wg.done();
  wg.wait();
}

TEST_P(WaitGroupTest, WaitSeesAllThatWasDone) {
  for (int round = 0; round < 200; ++round) {
    int values[50] = {};
    urge::wait_group wg;
    for (int& v : values) wg.go([&v] { v = 1; });
    wg.wait();
    for (const int v : values) ASSERT_EQ(v, 1);
  }
}

TEST_P(WaitGroupTest, ManyWaitersOfBothKindsAreReleasedTogether) {
  urge::wait_group wg, waiters;
  std::atomic<int> released{0};
  wg.add(1);
  for (int i = 0; i < 50; ++i) {
    waiters.go([&] {
      wg.wait();
      ++released;
    });
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      wg.wait();
      ++released;
    });
  }
  for (int i = 0; i < 10; ++i) urge::yield();
  EXPECT_EQ(released, 0);
  wg.done();
  waiters.wait();
  for (auto& t : threads) t.join();
  EXPECT_EQ(released, 53);
}

TEST_P(WaitGroupTest, ItMayBeUsedAgain) {
  urge::run([] {
    urge::wait_group wg;
    std::atomic<int> count{0};
    for (int round = 1; round <= 5'000; ++round) {
      for (int i = 0; i < 3; ++i) wg.go([&] { ++count; });
      wg.wait();
      ASSERT_EQ(count, round * 3);
    }
  });
}

TEST_P(WaitGroupTest, ItMayBeDestroyedAsSoonAsWaitReturns) {
  urge::run([] {
    for (int i = 0; i < 20'000; ++i) {
      auto wg = std::make_unique<urge::wait_group>();
      wg->go([] {});
      wg->go([] {});
      if (i % 2 == 0) urge::yield();
      wg->wait();
      wg.reset();
    }
  });
}

TEST_P(WaitGroupTest, ItMayBeDestroyedAsSoonAsWaitReturnsOnAThread) {
  for (int i = 0; i < 2'000; ++i) {
    auto wg = std::make_unique<urge::wait_group>();
    wg->go([] {});
    wg->wait();
    wg.reset();
  }
}

TEST_P(WaitGroupTest, TheClosureIsGoneWhenWaitReturns) {
  auto token = std::make_shared<int>(1);
  urge::wait_group wg;
  for (int i = 0; i < 100; ++i) {
    wg.go([token] {});
    wg.wait();
    ASSERT_EQ(token.use_count(), 1);
  }
}

TEST_P(WaitGroupTest, ANegativeCounterThrowsAndChangesNothing) {
  urge::wait_group wg;
  EXPECT_THROW(wg.done(), std::logic_error);
  EXPECT_THROW(wg.add(INT_MIN), std::logic_error);
  wg.wait();
  wg.add(2);
  EXPECT_THROW(wg.add(-3), std::logic_error);
  wg.done();
  wg.done();
  wg.wait();
  try {
    wg.done();
  } catch (const std::logic_error& e) {
    EXPECT_STREQ(e.what(), "urge::wait_group: negative counter");
  }
}

TEST_P(WaitGroupTest, ACounterTooLargeThrowsAndChangesNothing) {
  urge::wait_group wg;
  wg.add(INT_MAX);
  EXPECT_THROW(wg.add(1), std::logic_error);
  EXPECT_THROW(wg.add(INT_MAX), std::logic_error);
  wg.add(-INT_MAX);
  wg.wait();
}

TEST_P(WaitGroupTest, GoTakesArgumentsAndRefusesNull) {
  urge::wait_group wg;
  std::atomic<int> sum{0};
  wg.go([&](int a, int b) { sum = a + b; }, 1, 2);
  wg.wait();
  EXPECT_EQ(sum, 3);
  EXPECT_THROW(wg.go(static_cast<void (*)()>(nullptr)), std::invalid_argument);
  wg.wait();
}

TEST_P(WaitGroupTest, ACopyThatThrowsIsNotCounted) {
  struct Bad {
    Bad() = default;
    Bad(const Bad&) { throw std::runtime_error("copy"); }
    void operator()() const {}
  };
  urge::wait_group wg;
  const Bad bad;
  EXPECT_THROW(wg.go(bad), std::runtime_error);
  wg.wait();
}

TEST_P(WaitGroupTest, ATreeOfGroupsAddsUp) {
  struct Tree {
    static long Count(int depth) {
      if (depth == 0) return 1;
      std::atomic<long> sum{0};
      urge::wait_group wg;
      for (int i = 0; i < 4; ++i) wg.go([&] { sum += Count(depth - 1); });
      wg.wait();
      return sum;
    }
  };
  EXPECT_EQ(urge::run([] { return Tree::Count(5); }), 1024);
}

}  // namespace

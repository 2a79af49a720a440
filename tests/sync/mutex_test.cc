// What urge::mutex promises.

#include <urge/urge.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/testing/procs.h"

namespace {

using urge::testing::Await;
using Clock = std::chrono::steady_clock;

class MutexTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(MutexTest);

TEST_P(MutexTest, OneAtATimeAmongGoroutinesAndThreads) {
  urge::mutex m;
  std::int64_t count = 0;  // no atomic: the mutex is what is tested
  std::atomic<int> inside{0};
  constexpr int kEach = 5'000;
  const auto work = [&] {
    for (int i = 0; i < kEach; ++i) {
      std::lock_guard lock(m);
      ASSERT_EQ(inside.fetch_add(1), 0);
      ++count;
      if (i % 64 == 0) urge::yield();
      inside.fetch_sub(1);
    }
  };
  urge::wait_group wg;
  for (int g = 0; g < 8; ++g) wg.go(work);
  std::thread t1(work), t2(work);
  wg.wait();
  t1.join();
  t2.join();
  EXPECT_EQ(count, 10 * kEach);
}

TEST_P(MutexTest, TryLockNeverWaits) {
  urge::run([] {
    urge::mutex m;
    EXPECT_TRUE(m.try_lock());
    EXPECT_FALSE(m.try_lock());
    auto other = urge::async([&] { return m.try_lock(); });
    EXPECT_FALSE(other.get());
    m.unlock();
    EXPECT_TRUE(m.try_lock());
    m.unlock();
  });
}

TEST_P(MutexTest, TryLockAmongWaitersExcludes) {
  urge::run([] {
    urge::mutex m;
    std::int64_t count = 0, tried = 0;
    std::atomic<int> taken{0};
    urge::wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&] {
        for (int i = 0; i < 5'000; ++i) {
          std::lock_guard lock(m);
          ++count;
          if (i % 32 == 0) urge::yield();
        }
      });
      wg.go([&] {
        for (int i = 0; i < 5'000; ++i) {
          if (m.try_lock()) {
            ++tried;
            ++taken;
            m.unlock();
          } else {
            urge::yield();
          }
        }
      });
    }
    wg.wait();
    EXPECT_EQ(count, 20'000);
    EXPECT_EQ(tried, taken);
  });
}

TEST_P(MutexTest, WorksWithTheStandardLocks) {
  urge::run([] {
    urge::mutex a, b;
    int both = 0;
    urge::wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < 1'000; ++i) {
          if (g % 2 == 0) {
            std::scoped_lock lock(a, b);
            ++both;
          } else {
            std::scoped_lock lock(b, a);
            ++both;
          }
        }
      });
    }
    wg.wait();
    EXPECT_EQ(both, 4'000);
    std::unique_lock lock(a, std::try_to_lock);
    EXPECT_TRUE(lock.owns_lock());
    EXPECT_FALSE(a.try_lock());
  });
}

TEST_P(MutexTest, WorksWithConditionVariableAnyOnThreads) {
  urge::mutex m;
  std::condition_variable_any cv;
  int turn = 0;
  std::thread other([&] {
    std::unique_lock lock(m);
    for (int i = 0; i < 100; ++i) {
      cv.wait(lock, [&] { return turn == 1; });
      turn = 0;
      cv.notify_one();
    }
  });
  {
    std::unique_lock lock(m);
    for (int i = 0; i < 100; ++i) {
      turn = 1;
      cv.notify_one();
      cv.wait(lock, [&] { return turn == 0; });
    }
  }
  other.join();
}

TEST_P(MutexTest, AnotherGoroutineMayUnlock) {
  urge::run([] {
    urge::mutex m;
    m.lock();
    urge::go([&] { m.unlock(); });
    m.lock();
    m.unlock();
  });
}

TEST_P(MutexTest, AGreedyOwnerCannotStarveAWaiter) {
  // Go: TestMutexFairness. The owner lets go for an instant only, again and again.
  urge::run([] {
    urge::mutex m;
    std::atomic<bool> stop{false};
    urge::wait_group wg;
    wg.go([&] {
      while (!stop) {
        m.lock();
        const auto until = Clock::now() + std::chrono::microseconds(100);
        while (Clock::now() < until) urge::checkpoint();
        m.unlock();
      }
    });
    const auto begin = Clock::now();
    for (int i = 0; i < 10; ++i) {
      m.lock();
      m.unlock();
      urge::yield();
    }
    stop = true;
    wg.wait();
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  });
}

TEST_P(MutexTest, ManyWaitersAllGetTheirTurnWhileItStarves) {
  urge::run([] {
    urge::mutex m;
    std::atomic<int> turns{0};
    urge::wait_group wg;
    for (int g = 0; g < 20; ++g) {
      wg.go([&] {
        for (int i = 0; i < 5; ++i) {
          m.lock();
          const auto until = Clock::now() + std::chrono::microseconds(200);
          while (Clock::now() < until) urge::checkpoint();
          ++turns;
          m.unlock();
        }
      });
    }
    wg.wait();
    EXPECT_EQ(turns, 100);
    EXPECT_TRUE(m.try_lock());  // starvation has ended with the last waiter
    m.unlock();
  });
}

TEST_P(MutexTest, TheNextOwnerMayDestroyIt) {
  urge::run([] {
    for (int i = 0; i < 20'000; ++i) {
      struct Shared {
        urge::mutex m;
        int references = 2;
      };
      auto* shared = new Shared;
      const auto drop = [shared, slow = i % 2 == 0] {
        shared->m.lock();
        const bool last = --shared->references == 0;
        if (slow) urge::yield();
        shared->m.unlock();
        if (last) delete shared;
      };
      urge::wait_group wg;
      wg.go(drop);
      drop();
      wg.wait();
    }
  });
}

TEST(MutexDeathTest, UnlockOfAnUnlockedMutexIsFatal) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        urge::mutex m;
        m.unlock();
      },
      ::testing::ExitedWithCode(2), "urge::mutex: unlock of unlocked mutex");
  EXPECT_EXIT(
      {
        urge::mutex m;
        m.lock();
        m.unlock();
        m.unlock();
      },
      ::testing::ExitedWithCode(2), "urge::mutex: unlock of unlocked mutex");
}

}  // namespace

// C11's threads among goroutines: a mtx_t held over a preemption comes to be unlocked, and those
// that wait block few threads, as with pthread's.
//
// Nothing is stood in for in the sanitizers' builds.
// skip: asan tsan

#include <gtest/gtest.h>
#include <sched.h>
#include <threads.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <urge/urge.h>

#include "tests/interpose/contention.h"
#include "tests/interpose/hogs.h"
#include "tests/testing/procs.h"

namespace urge {
namespace {

using namespace std::chrono_literals;
using testing::Await;
using testing::Spin;
using testing::Threads;

class C11Test : public testing::ProcsTest {};
URGE_TEST_AT_PROCS(C11Test);

struct Mutex {
  explicit Mutex(int type = mtx_timed) { EXPECT_EQ(mtx_init(&m, type), thrd_success); }
  ~Mutex() { mtx_destroy(&m); }
  void lock() { ASSERT_EQ(mtx_lock(&m), thrd_success); }
  void unlock() { ASSERT_EQ(mtx_unlock(&m), thrd_success); }
  mtx_t m;
};

timespec In(std::chrono::milliseconds time) {
  timespec t;
  timespec_get(&t, TIME_UTC);
  t.tv_nsec += time.count() * 1'000'000;
  t.tv_sec += t.tv_nsec / 1'000'000'000;
  t.tv_nsec %= 1'000'000'000;
  return t;
}

TEST_P(C11Test, AHolderThatIsPreemptedComesToUnlock) {
  Mutex mutex;
  testing::ExpectThatAPreemptedHolderComesToUnlock(mutex);
}

TEST_P(C11Test, AThousandContendersBlockFewThreads) {
  Mutex mutex(mtx_plain);
  testing::ExpectThatAThousandContendersBlockFewThreads(mutex);
}

TEST_P(C11Test, ARecursiveMutexIsTheGoroutinesOverAPreemption) {
  Mutex mutex(mtx_recursive);
  std::atomic<int> inside{0}, wrong{0};
  run([&] {
    wait_group all;
    for (int g = 0; g < 6; ++g) {
      all.go([&] {
        for (int i = 0; i < 10; ++i) {
          mutex.lock();
          mutex.lock();
          if (++inside != 1) ++wrong;
          Spin(100us);
          yield();
          --inside;
          mutex.unlock();
          mutex.unlock();
        }
      });
    }
    all.wait();
  });
  EXPECT_EQ(wrong, 0);
}

TEST_P(C11Test, TriesAndTimeLimitsTellThatItIsTaken) {
  Mutex mutex;
  run([&] {
    mutex.lock();
    async([&] {
      EXPECT_EQ(mtx_trylock(&mutex.m), thrd_busy);
      const timespec when = In(5ms);
      EXPECT_EQ(mtx_timedlock(&mutex.m, &when), thrd_timedout);
    }).get();
    mutex.unlock();
    EXPECT_EQ(mtx_trylock(&mutex.m), thrd_success);
    mutex.unlock();
  });
}

TEST_P(C11Test, ConditionsJoinGoroutinesAndThreads) {
  Mutex mutex;
  cnd_t changed;
  ASSERT_EQ(cnd_init(&changed), thrd_success);
  int turn = 0;
  const auto play = [&](int who) {
    for (int i = 0; i < 200; ++i) {
      mutex.lock();
      while (turn % 3 != who) EXPECT_EQ(cnd_wait(&changed, &mutex.m), thrd_success);
      ++turn;
      EXPECT_EQ(cnd_broadcast(&changed), thrd_success);
      mutex.unlock();
    }
  };
  std::thread thread(play, 0);
  run([&] {
    wait_group all;
    all.go([&] { play(1); });
    all.go([&] { play(2); });
    all.wait();
  });
  thread.join();
  EXPECT_EQ(turn, 600);
  cnd_destroy(&changed);
}

TEST_P(C11Test, GoroutinesThatWaitForAConditionBlockNoThreads) {
  constexpr int kWaiters = 500;
  Mutex mutex;
  cnd_t changed;
  ASSERT_EQ(cnd_init(&changed), thrd_success);
  bool go_on = false;
  int through = 0;
  run([&] {
    wait_group all;
    std::atomic<int> came{0};
    const int before = Threads();
    for (int g = 0; g < kWaiters; ++g) {
      all.go([&] {
        mutex.lock();
        ++came;
        while (!go_on) cnd_wait(&changed, &mutex.m);
        ++through;
        mutex.unlock();
      });
    }
    Await([&] { return came == kWaiters; });
    EXPECT_LT(Threads() - before, 100);
    mutex.lock();
    go_on = true;
    mutex.unlock();
    for (int g = 0; g < kWaiters; ++g) cnd_signal(&changed);
    cnd_broadcast(&changed);
    all.wait();
  });
  EXPECT_EQ(through, kWaiters);
  cnd_destroy(&changed);
}

TEST_P(C11Test, ATimedWaitForAConditionEnds) {
  run([] {
    Mutex mutex;
    cnd_t never;
    ASSERT_EQ(cnd_init(&never), thrd_success);
    mutex.lock();
    const timespec when = In(5ms);
    int result;
    while ((result = cnd_timedwait(&never, &mutex.m, &when)) == thrd_success) {
    }
    EXPECT_EQ(result, thrd_timedout);
    mutex.unlock();
    cnd_destroy(&never);
  });
}

once_flag g_once;
std::atomic<int> g_calls{0};
std::atomic<bool> g_done{false};

TEST_P(C11Test, CallOnceRunsOnceAndAllWaitForIt) {
  g_once = ONCE_FLAG_INIT;
  g_calls = 0;
  g_done = false;
  std::atomic<int> early{0};
  run([&] {
    wait_group all;
    for (int g = 0; g < 50; ++g) {
      all.go([&] {
        call_once(&g_once, [] {
          ++g_calls;
          Spin(300us);
          yield();
          g_done = true;
        });
        if (!g_done) ++early;
      });
    }
    all.wait();
  });
  EXPECT_EQ(g_calls, 1);
  EXPECT_EQ(early, 0);
}

// A goroutine that joins or sleeps leaves its processor to the one that is waited for.
TEST_P(C11Test, JoiningAndSleepingGiveTheProcessorOn) {
  run([] {
    std::atomic<bool> go_on{false};
    thrd_t thread;
    ASSERT_EQ(thrd_create(
                  &thread,
                  [](void* flag) {
                    while (!*static_cast<std::atomic<bool>*>(flag)) thrd_yield();
                    return 7;
                  },
                  &go_on),
              thrd_success);
    go([&] { go_on = true; });
    int result = 0;
    EXPECT_EQ(thrd_join(thread, &result), thrd_success);
    EXPECT_EQ(result, 7);
    std::atomic<bool> ran{false};
    go([&] { ran = true; });
    while (!ran) {
      const timespec time{0, 1'000'000};
      EXPECT_EQ(thrd_sleep(&time, nullptr), 0);
    }
  });
}

// On one processor each would keep it for a whole slice otherwise.
TEST_P(C11Test, YieldingTheThreadYieldsTheGoroutine) {
  run([] {
    const std::uint64_t before = read_metrics().yields;
    wait_group all;
    std::atomic<int> turn{0};
    for (int who = 0; who < 2; ++who) {
      all.go([&, who] {
        for (int i = 0; i < 1000; ++i) {
          while (turn % 2 != who) {
            if (i % 2 == 0) {
              sched_yield();
            } else {
              thrd_yield();
            }
          }
          ++turn;
        }
      });
    }
    all.wait();
    EXPECT_EQ(turn, 2000);
    if (procs() == 1) {
      EXPECT_GE(read_metrics().yields - before, 1000u);
    }
  });
}

}  // namespace
}  // namespace urge

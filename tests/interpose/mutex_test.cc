// pthread mutexes held over a preemption: the holder comes to run, however few processors there
// are.
//
// Nothing is stood in for in the sanitizers' builds.
// skip: asan tsan

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include <urge/urge.h>

#include "absl/synchronization/mutex.h"

#include "tests/interpose/contention.h"
#include "tests/interpose/hogs.h"
#include "tests/testing/procs.h"

namespace urge {
namespace {

using namespace std::chrono_literals;
using testing::Await;
using testing::Spin;

class PthreadMutexTest : public testing::ProcsTest {};
URGE_TEST_AT_PROCS(PthreadMutexTest);

// A mutex of one type.
struct Mutex {
  explicit Mutex(int type, int robust = PTHREAD_MUTEX_STALLED, int protocol = PTHREAD_PRIO_NONE) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, type);
    pthread_mutexattr_setrobust(&attributes, robust);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    pthread_mutex_init(&m, &attributes);
    pthread_mutexattr_destroy(&attributes);
  }
  ~Mutex() { pthread_mutex_destroy(&m); }
  void lock() { ASSERT_EQ(pthread_mutex_lock(&m), 0); }
  void unlock() { ASSERT_EQ(pthread_mutex_unlock(&m), 0); }

  pthread_mutex_t m;
};

TEST_P(PthreadMutexTest, AHolderThatIsPreemptedComesToUnlock) {
  std::mutex mutex;
  testing::ExpectThatAPreemptedHolderComesToUnlock(mutex);
}

thread_local int g_mine = 0;

// Keeps the address of a thread_local over the lock, as compilers do. Whose it is then.
[[gnu::noinline]] bool StaysWithItsThread(std::mutex& mutex) {
  int* const mine = &g_mine;
  asm volatile("" : : "r"(mine) : "memory");
  const pid_t before = gettid();
  std::lock_guard lock(mutex);
  Spin(100us);
  asm volatile("" : : "r"(mine) : "memory");
  return gettid() == before;
}

// Without CallerMayMove a contender comes back wherever a processor is free.
TEST_P(PthreadMutexTest, AContenderWhoseCallerIsThreadBoundStaysWhereItIs) {
  std::mutex mutex;
  std::atomic<int> strayed{0};
  run([&] {
    wait_group all;
    for (int g = 0; g < 8; ++g) {
      all.go([&] {
        for (int i = 0; i < 20; ++i) {
          if (!StaysWithItsThread(mutex)) ++strayed;
        }
      });
    }
    all.wait();
  });
  EXPECT_EQ(strayed, 0);
}

// Abseil's keeps the thread's identity in memory over a wait, and asserts that it is the same then:
// whoever waits below a library that urge wasn't told of stays on its thread.
TEST_P(PthreadMutexTest, ALibrarysLockFindsTheSameThreadAfterAWait) {
  absl::Mutex mutex;
  long count = 0;
  run([&] {
    wait_group all;
    for (int g = 0; g < 16; ++g) {
      all.go([&] {
        for (int i = 0; i < 50; ++i) {
          const no_preempt alone;  // it also remembers which locks a thread holds
          absl::MutexLock lock(&mutex);
          ++count;
          usleep(50);
        }
      });
    }
    all.wait();
  });
  EXPECT_EQ(count, 16 * 50);
}

// The holder is off its processor, and cannot come back before the contender blocks.
TEST_P(PthreadMutexTest, AHolderThatSleepsComesToUnlock) {
  std::mutex mutex;
  run([&] {
    std::atomic<bool> held{false};
    wait_group all;
    all.go([&] {
      std::lock_guard lock(mutex);
      held = true;
      sleep_for(20ms);
    });
    all.go([&] {
      Await([&] { return held.load(); });
      std::lock_guard lock(mutex);
    });
    all.wait();
  });
}

TEST_P(PthreadMutexTest, AThousandContendersBlockFewThreads) {
  std::mutex mutex;
  testing::ExpectThatAThousandContendersBlockFewThreads(mutex);
}

// One for each of many mutexes: the bound holds for all together.
TEST_P(PthreadMutexTest, ManyContendedMutexesBlockFewThreads) {
  constexpr int kMutexes = 500;
  std::vector<std::mutex> mutexes(kMutexes);
  std::atomic<int> count{0};
  int most = 0;
  run([&] {
    for (auto& m : mutexes) m.lock();
    wait_group all;
    std::atomic<int> came{0};
    for (auto& m : mutexes) {
      all.go([&] {
        ++came;
        std::lock_guard lock(m);
        ++count;
      });
    }
    Await([&] { return came == kMutexes; });
    most = testing::MostThreads();
    for (auto& m : mutexes) m.unlock();
    all.wait();
  });
  EXPECT_EQ(count, kMutexes);
  EXPECT_LT(most, 300);
}

TEST_P(PthreadMutexTest, PlainThreadsAndGoroutinesContend) {
  std::mutex mutex;
  long count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 3000; ++i) {
        std::lock_guard lock(mutex);
        ++count;
      }
    });
  }
  run([&] {
    wait_group all;
    for (int g = 0; g < 8; ++g) {
      all.go([&] {
        for (int i = 0; i < 1000; ++i) {
          std::lock_guard lock(mutex);
          ++count;
          if (i % 64 == 0) yield();
        }
      });
    }
    all.wait();
  });
  for (auto& t : threads) t.join();
  EXPECT_EQ(count, 3 * 3000 + 8 * 1000);
}

// Without wiring, another goroutine on the owner's thread enters as if it were the owner.
TEST_P(PthreadMutexTest, ARecursiveMutexExcludesAllOtherGoroutines) {
  std::recursive_mutex mutex;
  std::atomic<int> inside{0};
  std::atomic<int> intruders{0};
  run([&] {
    wait_group all;
    for (int g = 0; g < 8; ++g) {
      all.go([&] {
        for (int i = 0; i < 10; ++i) {
          std::lock_guard outer(mutex);
          std::lock_guard inner(mutex);
          if (inside.exchange(1) != 0) ++intruders;
          Spin(100us);
          yield();
          if (i % 4 == 0) sleep_for(100us);
          inside = 0;
        }
      });
    }
    all.wait();
  });
  EXPECT_EQ(intruders, 0);
}

TEST_P(PthreadMutexTest, ARecursiveMutexIsTheGoroutinesOverAPreemption) {
  Mutex mutex(PTHREAD_MUTEX_RECURSIVE);
  run([&] {
    wait_group hogs;
    std::atomic<bool> stop{false}, held{false};
    for (int g = 0; g < 4; ++g) {
      hogs.go([&] {
        while (!stop) {
          if (pthread_mutex_trylock(&mutex.m) != 0) continue;
          EXPECT_FALSE(held);
          pthread_mutex_unlock(&mutex.m);
        }
      });
    }
    for (int i = 0; i < 20; ++i) {
      mutex.lock();
      held = true;
      Spin(1ms);
      mutex.lock();  // deadlocks if it was given to another thread
      yield();
      mutex.unlock();
      yield();
      held = false;
      mutex.unlock();
    }
    stop = true;
    hogs.wait();
  });
}

TEST_P(PthreadMutexTest, AnErrorcheckMutexKnowsItsOwner) {
  Mutex mutex(PTHREAD_MUTEX_ERRORCHECK);
  run([&] {
    mutex.lock();
    for (int i = 0; i < 20; ++i) {
      wait_group other;
      other.go([&] {
        EXPECT_EQ(pthread_mutex_unlock(&mutex.m), EPERM);
        EXPECT_EQ(pthread_mutex_trylock(&mutex.m), EBUSY);
      });
      other.wait();
      EXPECT_EQ(pthread_mutex_lock(&mutex.m), EDEADLK);
      yield();
    }
    mutex.unlock();
    EXPECT_EQ(pthread_mutex_unlock(&mutex.m), EPERM);
  });
}

TEST_P(PthreadMutexTest, RobustAndInheritingMutexesExclude) {
  const auto check = [](Mutex& mutex) {
    int count = 0;
    run([&] {
      wait_group all;
      for (int g = 0; g < 8; ++g) {
        all.go([&] {
          for (int i = 0; i < 10; ++i) {
            std::lock_guard lock(mutex);
            const int before = count;
            if (i % 2 == 0) yield();
            Spin(50us);
            count = before + 1;
          }
        });
      }
      all.wait();
    });
    EXPECT_EQ(count, 80);
  };
  Mutex robust(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
  check(robust);
  Mutex inheriting(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
  check(inheriting);
  Mutex adaptive(PTHREAD_MUTEX_ADAPTIVE_NP);
  check(adaptive);
}

TEST_P(PthreadMutexTest, ATimedLockGivesUpAndAnInvalidTimeIsRefused) {
  std::timed_mutex mutex;
  run([&] {
    mutex.lock();
    wait_group all;
    for (int g = 0; g < 50; ++g) {
      all.go([&] {
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_FALSE(mutex.try_lock_for(10ms));
        EXPECT_FALSE(mutex.try_lock_until(std::chrono::system_clock::now() + 10ms));
        EXPECT_GE(std::chrono::steady_clock::now() - begin, 20ms);
        timespec when{0, 2'000'000'000};
        EXPECT_EQ(pthread_mutex_timedlock(mutex.native_handle(), &when), EINVAL);
      });
    }
    all.wait();
    mutex.unlock();
    EXPECT_TRUE(mutex.try_lock_for(10s));
    mutex.unlock();
  });
}

// The compiler keeps errno's address over the lock, so the goroutine must come back on its thread.
TEST_P(PthreadMutexTest, ErrnoIsKept) {
  std::mutex mutex;
  run([&] {
    wait_group all;
    for (int g = 1; g <= 16; ++g) {
      all.go([&, g] {
        for (int i = 0; i < 30; ++i) {
          errno = g;
          mutex.lock();
          ASSERT_EQ(errno, g);
          usleep(50);  // so that others queue up; it keeps the thread, as any call of libc
          mutex.unlock();
        }
      });
    }
    all.wait();
  });
}

}  // namespace
}  // namespace urge

// What else of the pthread family, and of libstdc++ on top of it, goroutines wait for.
//
// Nothing is stood in for in the sanitizers' builds.
// skip: asan tsan

#include <gtest/gtest.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
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
using testing::Hogs;
using testing::Spin;
using testing::Threads;

class WaitsTest : public testing::ProcsTest {};
URGE_TEST_AT_PROCS(WaitsTest);

TEST_P(WaitsTest, AConditionVariableJoinsProducersAndConsumers) {
  std::mutex mutex;
  std::condition_variable full, empty;
  int item = 0;
  long sum = 0;
  run([&] {
    wait_group all;
    for (int g = 0; g < 4; ++g) {
      all.go([&] {
        for (int i = 1; i <= 250; ++i) {
          std::unique_lock lock(mutex);
          empty.wait(lock, [&] { return item == 0; });
          item = i;
          full.notify_one();
        }
      });
      all.go([&] {
        for (int i = 1; i <= 250; ++i) {
          std::unique_lock lock(mutex);
          full.wait(lock, [&] { return item != 0; });
          sum += std::exchange(item, 0);
          empty.notify_one();
        }
      });
    }
    all.wait();
  });
  EXPECT_EQ(sum, 4 * 250 * 251 / 2);
}

TEST_P(WaitsTest, GoroutinesThatWaitForAConditionBlockNoThreads) {
  constexpr int kWaiters = 1000;
  std::mutex mutex;
  std::condition_variable condition;
  bool go_on = false;
  int through = 0;
  run([&] {
    wait_group all;
    std::atomic<int> came{0};
    const int before = Threads();
    for (int g = 0; g < kWaiters; ++g) {
      all.go([&] {
        std::unique_lock lock(mutex);
        ++came;
        condition.wait(lock, [&] { return go_on; });
        ++through;
      });
    }
    Await([&] { return came == kWaiters; });
    EXPECT_LT(Threads() - before, 100);
    {
      std::lock_guard lock(mutex);
      go_on = true;
    }
    condition.notify_all();
    all.wait();
  });
  EXPECT_EQ(through, kWaiters);
}

TEST_P(WaitsTest, AThreadAndAGoroutinePlayPingPongOverAConditionVariable) {
  std::mutex mutex;
  std::condition_variable condition;
  int turn = 0;
  const auto play = [&](int who) {
    for (int i = 0; i < 200; ++i) {
      std::unique_lock lock(mutex);
      condition.wait(lock, [&] { return turn % 2 == who; });
      ++turn;
      condition.notify_all();
    }
  };
  std::thread thread(play, 0);
  run([&] { play(1); });
  thread.join();
  EXPECT_EQ(turn, 400);
}

TEST_P(WaitsTest, ATimedWaitForAConditionEnds) {
  run([] {
    wait_group all;
    for (int g = 0; g < 20; ++g) {
      all.go([] {
        std::mutex mutex;
        std::condition_variable condition;
        std::unique_lock lock(mutex);
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_FALSE(condition.wait_for(lock, 5ms, [] { return false; }));
        EXPECT_FALSE(condition.wait_until(lock, std::chrono::system_clock::now() + 5ms,
                                          [] { return false; }));
        EXPECT_GE(std::chrono::steady_clock::now() - begin, 9ms);
      });
    }
    all.wait();
  });
}

TEST_P(WaitsTest, WaitingOnAnotherOwnersMutexIsRefused) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &attributes);
  pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
  run([&] { EXPECT_EQ(pthread_cond_wait(&condition, &mutex), EPERM); });
}

TEST_P(WaitsTest, ASharedMutexExcludesWritersOverPreemptions) {
  std::shared_mutex mutex;
  std::atomic<int> readers{0}, writers{0}, wrong{0};
  run([&] {
    wait_group all;
    for (int g = 0; g < 6; ++g) {
      all.go([&, g] {
        for (int i = 0; i < 20; ++i) {
          if ((g + i) % 3 == 0) {
            std::unique_lock lock(mutex);
            if (++writers != 1 || readers != 0) ++wrong;
            Spin(100us);
            yield();
            --writers;
          } else {
            std::shared_lock lock(mutex);
            ++readers;
            if (writers != 0) ++wrong;
            Spin(50us);
            yield();
            --readers;
          }
        }
      });
    }
    all.wait();
  });
  EXPECT_EQ(wrong, 0);
}

// Without wiring the writer, libc would take the other goroutine on its thread for it.
TEST_P(WaitsTest, ASecondWriterIsNotTakenForTheFirst) {
  pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  run([&] {
    ASSERT_EQ(pthread_rwlock_wrlock(&lock), 0);
    EXPECT_EQ(pthread_rwlock_wrlock(&lock), EDEADLK);
    wait_group all;
    std::atomic<bool> entered{false};
    for (int g = 0; g < 4; ++g) {
      all.go([&, g] {
        EXPECT_EQ(g % 2 == 0 ? pthread_rwlock_wrlock(&lock) : pthread_rwlock_rdlock(&lock), 0);
        entered = true;
        pthread_rwlock_unlock(&lock);
      });
    }
    for (int i = 0; i < 100; ++i) yield();
    sleep_for(2ms);
    EXPECT_FALSE(entered);
    pthread_rwlock_unlock(&lock);
    all.wait();
  });
}

TEST_P(WaitsTest, TimedSharedLocksGiveUp) {
  std::shared_timed_mutex mutex;
  run([&] {
    mutex.lock();
    wait_group all;
    all.go([&] { EXPECT_FALSE(mutex.try_lock_for(3ms)); });
    all.go([&] { EXPECT_FALSE(mutex.try_lock_shared_for(3ms)); });
    all.go(
        [&] { EXPECT_FALSE(mutex.try_lock_shared_until(std::chrono::system_clock::now() + 3ms)); });
    all.wait();
    mutex.unlock();
  });
}

// Without interposition the second goroutine waits on the only processor for the first.
TEST_P(WaitsTest, AStaticLocalThatIsInitialisedOverAPreemption) {
  static std::atomic<int> initialised{0};
  initialised = 0;
  run([&] {
    wait_group all;
    const auto first = [](int procs) -> int {
      const auto make = [] {
        ++initialised;
        yield();
        sleep_for(2ms);
        Spin(2ms);
        return 7;
      };
      // One for each number of processors that the test is run at.
      if (procs == 1) {
        static const int value = make();
        return value;
      }
      if (procs == 2) {
        static const int value = make();
        return value;
      }
      static const int value = make();
      return value;
    };
    for (int g = 0; g < 10; ++g) {
      all.go([&] { EXPECT_EQ(first(GetParam()), 7); });
    }
    all.wait();
  });
  EXPECT_EQ(initialised, 1);
}

TEST_P(WaitsTest, CallOnceRunsOnceAndAllWaitForIt) {
  run([] {
    for (int round = 0; round < 20; ++round) {
      std::once_flag flag;
      std::atomic<int> ran{0};
      std::atomic<bool> done{false};
      wait_group all;
      for (int g = 0; g < 8; ++g) {
        all.go([&] {
          lock_os_thread();  // call_once's own thread_locals are thread-bound
          std::call_once(flag, [&] {
            ++ran;
            yield();
            sleep_for(500us);
            done = true;
          });
          EXPECT_TRUE(done);
          unlock_os_thread();
        });
      }
      all.wait();
      EXPECT_EQ(ran, 1);
    }
  });
}

pthread_once_t g_once;
std::atomic<int> g_once_ran;
TEST_P(WaitsTest, PthreadOnceRunsOnceAndAllWaitForIt) {
  run([] {
    for (int round = 0; round < 20; ++round) {
      g_once = PTHREAD_ONCE_INIT;
      g_once_ran = 0;
      wait_group all;
      for (int g = 0; g < 8; ++g) {
        all.go([&] {
          EXPECT_EQ(pthread_once(&g_once,
                                 [] {
                                   yield();
                                   sleep_for(300us);
                                   ++g_once_ran;
                                 }),
                    0);
          EXPECT_EQ(g_once_ran, 1);
        });
      }
      all.wait();
    }
  });
}

TEST_P(WaitsTest, AFileLockHeldOverAPreemptionIsTheGoroutines) {
  FILE* file = tmpfile();
  ASSERT_NE(file, nullptr);
  std::atomic<int> inside{0}, wrong{0};
  run([&] {
    wait_group all;
    for (int g = 0; g < 6; ++g) {
      all.go([&] {
        for (int i = 0; i < 10; ++i) {
          flockfile(file);
          if (inside.exchange(1) != 0) ++wrong;
          putc_unlocked('x', file);
          Spin(200us);
          yield();
          inside = 0;
          funlockfile(file);
        }
      });
    }
    all.wait();
  });
  EXPECT_EQ(wrong, 0);
  fclose(file);
}

TEST_P(WaitsTest, Semaphores) {
  sem_t there, back;
  sem_init(&there, 0, 0);
  sem_init(&back, 0, 0);
  run([&] {
    wait_group all;
    all.go([&] {
      for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(sem_wait(&there), 0);
        sem_post(&back);
      }
    });
    for (int i = 0; i < 100; ++i) {
      sem_post(&there);
      ASSERT_EQ(sem_wait(&back), 0);
    }
    all.wait();
    timespec past{1, 0};
    EXPECT_EQ(sem_timedwait(&there, &past), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
  });
}

TEST_P(WaitsTest, AThousandGoroutinesThatWaitForASemaphoreBlockFewThreads) {
  constexpr int kWaiters = 1000;
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  std::atomic<int> came{0}, through{0};
  int most = 0;
  run([&] {
    wait_group all;
    for (int g = 0; g < kWaiters; ++g) {
      all.go([&] {
        ++came;
        sem_wait(&semaphore);
        ++through;
      });
    }
    Await([&] { return came == kWaiters; });
    most = testing::MostThreads();
    EXPECT_EQ(through, 0);
    for (int g = 0; g < kWaiters; ++g) sem_post(&semaphore);
    all.wait();
  });
  EXPECT_EQ(through, kWaiters);
  EXPECT_LT(most, 200);
  int left = -1;
  sem_getvalue(&semaphore, &left);
  EXPECT_EQ(left, 0);
  sem_destroy(&semaphore);
}

TEST_P(WaitsTest, ABarrierAmongGoroutines) {
  constexpr int kParties = 8;
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, nullptr, kParties);
  std::barrier<> cxx_barrier(kParties);
  std::atomic<int> serial{0};
  run([&] {
    wait_group all;
    for (int g = 0; g < kParties; ++g) {
      all.go([&] {
        for (int i = 0; i < 10; ++i) {
          if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) ++serial;
          cxx_barrier.arrive_and_wait();
        }
      });
    }
    all.wait();
  });
  EXPECT_EQ(serial, 10);
  pthread_barrier_destroy(&barrier);
}

TEST_P(WaitsTest, JoiningAThreadThatWaitsForAGoroutine) {
  run([] {
    for (int i = 0; i < 20; ++i) {
      chan<int> c(0);
      std::thread thread([c]() mutable { EXPECT_EQ(c.recv(), 5); });
      go([c]() mutable { c.send(5); });
      thread.join();
    }
  });
}

TEST_P(WaitsTest, AtomicWaitLatchAndStdFutures) {
  run([] {
    wait_group all;
    std::atomic<int> word{0};
    std::latch latch(4);
    std::counting_semaphore<8> semaphore(0);
    std::promise<int> promise;
    auto future = promise.get_future().share();
    for (int g = 0; g < 4; ++g) {
      all.go([&, future] {
        word.wait(0);
        EXPECT_EQ(word, 1);
        latch.arrive_and_wait();
        semaphore.acquire();
        EXPECT_EQ(future.get(), 3);
      });
    }
    for (int i = 0; i < 50; ++i) yield();
    word = 1;
    word.notify_all();
    latch.wait();
    sleep_for(1ms);
    semaphore.release(4);
    sleep_for(1ms);
    promise.set_value(3);
    all.wait();
  });
}

TEST_P(WaitsTest, AHogDoesNotKeepWaitersOut) {
  run([] {
    const Hogs hogs(3);
    std::mutex mutex;
    std::condition_variable condition;
    int turn = 0;
    wait_group all;
    for (int who = 0; who < 2; ++who) {
      all.go([&, who] {
        for (int i = 0; i < 20; ++i) {
          std::unique_lock lock(mutex);
          condition.wait(lock, [&] { return turn % 2 == who; });
          ++turn;
          condition.notify_all();
        }
      });
    }
    all.wait();
    EXPECT_EQ(turn, 40);
  });
}

}  // namespace
}  // namespace urge

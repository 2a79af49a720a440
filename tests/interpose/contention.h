// What holds of every kind of lock that goroutines may hold and wait for.

#ifndef URGE_TESTS_INTERPOSE_CONTENTION_H_
#define URGE_TESTS_INTERPOSE_CONTENTION_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>

#include <urge/urge.h>

#include "tests/interpose/hogs.h"
#include "tests/testing/procs.h"

namespace urge::testing {

// The most threads in all the time in which waiters could block: until each has been looked at a
// good many times.
inline int MostThreads() {
  int most = 0;
  for (int i = 0; i < 20; ++i) {
    sleep_for(std::chrono::milliseconds(1));
    most = std::max(most, Threads());
  }
  return most;
}

// Without the yields and the hand-over the contender keeps the only processor for ever.
template <class Mutex>
void ExpectThatAPreemptedHolderComesToUnlock(Mutex& mutex) {
  long count = 0;
  run([&] {
    wait_group all;
    for (int g = 0; g < 16; ++g) {
      all.go([&] {
        for (int i = 0; i < 20; ++i) {
          std::lock_guard lock(mutex);
          const long before = count;
          Spin(std::chrono::microseconds(200));  // a slice is longer, but there are many
          if (i % 5 == 0) yield();
          count = before + 1;
        }
      });
    }
    all.wait();
  });
  EXPECT_EQ(count, 16 * 20);
}

template <class Mutex>
void ExpectThatAThousandContendersBlockFewThreads(Mutex& mutex) {
  constexpr int kContenders = 1000;
  int count = 0;
  int most = 0;
  run([&] {
    wait_group all;
    mutex.lock();
    std::atomic<int> came{0};
    for (int g = 0; g < kContenders; ++g) {
      all.go([&] {
        ++came;
        std::lock_guard lock(mutex);
        ++count;
      });
    }
    Await([&] { return came == kContenders; });
    most = MostThreads();
    mutex.unlock();
    all.wait();
  });
  EXPECT_EQ(count, kContenders);
  EXPECT_LT(most, 200);
}

}  // namespace urge::testing

#endif  // URGE_TESTS_INTERPOSE_CONTENTION_H_

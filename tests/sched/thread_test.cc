// Goroutines and their threads: lock_os_thread, urge::blocking, and threads that end.

#include <gtest/gtest.h>

#include <urge/urge.h>

#include <dirent.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <vector>

#include "runtime/sched/current.h"
#include "tests/support/program.h"
#include "tests/testing/procs.h"

namespace {

using namespace std::chrono_literals;
using urge::testing::Await;

// Asked anew each time, past anything the C library remembers.
[[gnu::noinline]] int Tid() {
  asm volatile("");
  return gettid();
}

int Threads() {
  DIR* tasks = opendir("/proc/self/task");
  int n = 0;
  while (const dirent* entry = readdir(tasks)) n += entry->d_name[0] != '.';
  closedir(tasks);
  return n;
}

class ThreadTest : public urge::testing::ProcsTest {
 protected:
  void TearDown() override {
    Await([] { return urge::goroutines() == 0; });
  }
};
URGE_TEST_AT_PROCS(ThreadTest);

// Others that yield, sleep and spin, to move everybody about.
class Traffic {
 public:
  Traffic() {
    for (int i = 0; i < 4; ++i) {
      group_.go([this, i] {
        while (!stop_) {
          if (i % 2 == 0) {
            urge::yield();
          } else {
            urge::sleep_for(50us);
          }
        }
      });
    }
  }
  ~Traffic() {
    stop_ = true;
    group_.wait();
  }

 private:
  std::atomic<bool> stop_{false};
  urge::wait_group group_;
};

TEST_P(ThreadTest, ALockedGoroutineStaysOnItsThreadThroughEverything) {
  urge::run([] {
    Traffic traffic;
    urge::async([] {
      urge::lock_os_thread();
      const int tid = Tid();
      urge::chan<int> c(0);
      for (int i = 0; i < 200; ++i) {
        urge::yield();
        ASSERT_EQ(Tid(), tid);
        urge::go([c] { c.send(1); });
        static_cast<void>(c.recv());
        ASSERT_EQ(Tid(), tid);
        if (i % 20 == 0) urge::sleep_for(100us);
        ASSERT_EQ(Tid(), tid);
        urge::blocking([] {});
        ASSERT_EQ(Tid(), tid);
      }
      urge::unlock_os_thread();
    }).get();
  });
}

TEST_P(ThreadTest, NobodyElseRunsOnALockedThread) {
  urge::run([] {
    std::atomic<int> locked_tid{0}, trespassers{0};
    std::atomic<bool> stop{false};
    urge::wait_group group;
    for (int i = 0; i < 4; ++i) {
      group.go([&] {
        while (!stop) {
          if (Tid() == locked_tid) ++trespassers;
          urge::yield();
        }
      });
    }
    group.go([&] {
      urge::lock_os_thread();
      locked_tid = Tid();
      for (int i = 0; i < 500; ++i) urge::yield();
      locked_tid = 0;
      urge::unlock_os_thread();
      stop = true;
    });
    group.wait();
    EXPECT_EQ(trespassers, 0);
  });
}

// Go: TestLockOSThreadNesting.
TEST_P(ThreadTest, LocksNestAndAreNotInherited) {
  urge::run([] {
    urge::async([] {
      const auto locked = [] { return urge::sched::CurrentM()->lockedg != nullptr; };
      urge::unlock_os_thread();  // no effect
      EXPECT_FALSE(locked());
      urge::lock_os_thread();
      urge::lock_os_thread();
      EXPECT_TRUE(locked());
      EXPECT_FALSE(urge::async([&] { return locked(); }).get());
      urge::unlock_os_thread();
      EXPECT_TRUE(locked());
      urge::unlock_os_thread();
      EXPECT_FALSE(locked());
    }).get();
  });
}

thread_local struct CountsDestruction {
  std::atomic<int>* count = nullptr;
  ~CountsDestruction() {
    if (count == nullptr) return;
    // The thread is a plain one by now.
    if (urge::goid() == 0) ++*count;
  }
} t_counts;

// Go: TestLockOSThreadExit.
TEST_P(ThreadTest, AGoroutineThatEndsLockedTakesItsThreadWithIt) {
  std::atomic<int> destroyed{0};
  urge::run([&] {
    const int before = Threads();
    for (int i = 0; i < 40; ++i) {
      urge::async([&] {
        urge::lock_os_thread();
        t_counts.count = &destroyed;
        urge::yield();
      }).get();
      Await([&] { return destroyed == i + 1; });
    }
    // Those that are left serve the processors.
    Await([&] { return Threads() <= before + GetParam() + 2; });
  });
}

TEST_P(ThreadTest, OthersRunWhileOneBlocksItsThread) {
  urge::set_procs(1);
  urge::run([] {
    const int fd = eventfd(0, 0);
    std::atomic<bool> read_it{false};
    urge::go([&] {
      urge::blocking([&] {
        std::uint64_t value;
        if (read(fd, &value, sizeof(value)) == sizeof(value)) read_it = true;
      });
    });
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(urge::async([i] { return i; }).get(), i);
      urge::yield();
    }
    EXPECT_FALSE(read_it);
    const std::uint64_t one = 1;
    ASSERT_EQ(write(fd, &one, sizeof(one)), 8);
    Await([&] { return read_it.load(); });
    close(fd);
  });
}

TEST_P(ThreadTest, ManyThreadsBlockAtOnceAndAllComeBack) {
  constexpr int kBlocked = 60;
  urge::run([] {
    const int fd = eventfd(0, EFD_SEMAPHORE);
    std::atomic<int> in{0}, moved{0};
    urge::wait_group group;
    for (int i = 0; i < kBlocked; ++i) {
      group.go([&] {
        const int tid = Tid();
        urge::blocking([&] {
          ++in;
          std::uint64_t value;
          EXPECT_EQ(read(fd, &value, sizeof(value)), 8);
        });
        if (Tid() != tid) ++moved;
      });
    }
    Await([&] { return in == kBlocked; });
    const std::uint64_t all = kBlocked;
    ASSERT_EQ(write(fd, &all, sizeof(all)), 8);
    group.wait();
    EXPECT_EQ(moved, 0) << "a goroutine goes on on the thread it blocked";
    close(fd);
  });
}

TEST_P(ThreadTest, BlockingYieldsValuesReferencesAndExceptionsAndNests) {
  urge::run([] {
    Traffic traffic;
    int x = 5;
    EXPECT_EQ(urge::blocking([] { return 7; }), 7);
    EXPECT_EQ(&urge::blocking([&]() -> int& { return x; }), &x);
    EXPECT_EQ(urge::blocking([] { return urge::blocking([] { return 9; }) + 1; }), 10);
    for (int i = 0; i < 50; ++i) {
      try {
        urge::blocking([&] {
          usleep(50);
          throw i;
        });
        FAIL();
      } catch (int caught) {
        ASSERT_EQ(caught, i);
      }
    }
    EXPECT_EQ(urge::blocking([] { return urge::goid(); }), urge::goid());
  });
  EXPECT_EQ(urge::blocking([] { return 3; }), 3) << "on a plain thread too";
}

TEST_P(ThreadTest, WaitingInsideBlockingKeepsTheThread) {
  urge::run([] {
    Traffic traffic;
    for (int i = 0; i < 50; ++i) {
      const int tid = Tid();
      urge::chan<int> c(0);
      urge::go([c] { c.send(1); });
      urge::blocking([&] {
        ASSERT_EQ(Tid(), tid);
        static_cast<void>(c.recv());
        ASSERT_EQ(Tid(), tid);
        urge::sleep_for(20us);
        ASSERT_EQ(Tid(), tid);
        urge::yield();
        urge::go([] {});
      });
      ASSERT_EQ(Tid(), tid);
    }
  });
}

TEST(BlockingTest, WaitingInsideBlockingHoldsNobodyUp) {
  const auto r = urge::test::RunProgram("blocking_waits", {.timeout_s = 60});
  EXPECT_FALSE(r.timed_out) << "hangs after: " << r.out;
  EXPECT_EQ(r.exit_status, 0) << r.err;
}

}  // namespace

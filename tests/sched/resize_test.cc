// set_procs at any time, by anybody: nothing is lost and nothing stands still.
//
// Under ThreadSanitizer signals preempt nobody, and the hogs here call nothing.
// skip: tsan

#include <gtest/gtest.h>

#include <urge/urge.h>

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/testing/procs.h"

namespace {

using namespace std::chrono_literals;
using urge::testing::Await;

// Hogs, sleepers, blockers, talkers and spawners that count their rounds.
class Load {
 public:
  Load() {
    for (int i = 0; i < 2; ++i) {
      Start([](Load&) {
        for (int k = 0; k < 100'000; ++k) asm volatile("");
      });
    }
    for (int i = 0; i < 8; ++i) Start([](Load&) { urge::sleep_for(100us); });
    for (int i = 0; i < 2; ++i) {
      Start([](Load&) { urge::blocking([] { usleep(100); }); });
    }
    Start([](Load&) { urge::async([] { urge::yield(); }).get(); });
    Start([](Load& load) { load.channel_.send(1); });
    Start([](Load& load) { static_cast<void>(load.channel_.recv()); });
    Start([](Load&) {
      urge::wait_group group;
      for (int k = 0; k < 10; ++k) group.go([] { urge::yield(); });
      group.wait();
    });
  }
  ~Load() {
    stop_ = true;
    channel_.close();
    group_.wait();
  }

  // Waits until every goroutine has done another round.
  void AwaitProgress() {
    std::vector<std::uint64_t> seen;
    for (auto& r : rounds_) seen.push_back(r.load());
    for (std::size_t i = 0; i < used_; ++i) {
      Await([&] { return rounds_[i].load() > seen[i]; });
    }
  }

 private:
  void Start(void (*round)(Load&)) {
    group_.go([this, round, mine = used_++] {
      while (!stop_) {
        try {
          round(*this);
        } catch (const urge::closed_channel&) {
        }
        ++rounds_[mine];
      }
    });
  }

  std::atomic<bool> stop_{false};
  urge::chan<int> channel_{0};
  std::array<std::atomic<std::uint64_t>, 32> rounds_{};
  std::size_t used_ = 0;
  urge::wait_group group_;
};

TEST(ResizeTest, EverybodyGoesOnAtEachNumberOfProcs) {
  auto random = urge::testing::Random();
  urge::run([&] {
    urge::set_procs(2);
    Load load;
    for (int i = 0; i < 30; ++i) {
      const int n = 1 + static_cast<int>(random() % 6);
      urge::set_procs(n);
      EXPECT_EQ(urge::procs(), n);
      if (i % 5 == 0) load.AwaitProgress();
    }
    urge::set_procs(1);
    load.AwaitProgress();
  });
}

TEST(ResizeTest, ThreadsAndGoroutinesMayChangeItAtOnce) {
  urge::run([] {
    Load load;
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < 20; ++i) urge::set_procs(1 + (i + t) % 4);
      });
    }
    urge::wait_group group;
    for (int g = 0; g < 2; ++g) {
      group.go([g] {
        for (int i = 0; i < 20; ++i) {
          urge::set_procs(1 + (i * 3 + g) % 4);
          urge::yield();
        }
      });
    }
    group.wait();
    urge::blocking([&] {
      for (std::thread& thread : threads) thread.join();
    });
    load.AwaitProgress();
  });
}

TEST(ResizeTest, FromInsideBlockingAndWhileLockedToAThread) {
  urge::run([] {
    Load load;
    for (int i = 0; i < 10; ++i) {
      urge::blocking([i] { urge::set_procs(1 + i % 3); });
      urge::lock_os_thread();
      const int tid = gettid();
      urge::set_procs(1 + (i + 1) % 3);
      EXPECT_EQ(gettid(), tid);
      urge::unlock_os_thread();
    }
    load.AwaitProgress();
  });
}

TEST(ResizeTest, SleepersOfARetiredProcessorWake) {
  for (int i = 0; i < 10; ++i) {
    urge::set_procs(8);
    urge::run([] {
      urge::wait_group group;
      for (int g = 0; g < 200; ++g) group.go([] { urge::sleep_for(3ms); });
      urge::sleep_for(1ms);
      urge::set_procs(1);
      group.wait();
    });
  }
}

TEST(ResizeTest, CodeThatWillNotStopMakesItFailAndChangesNothing) {
  urge::set_procs(2);
  std::atomic<bool> holding{false}, stop{false};
  urge::go([&] {
    const urge::no_preempt hold;
    holding = true;
    while (!stop.load(std::memory_order_relaxed)) {
    }
  });
  Await([&] { return holding.load(); });
  EXPECT_THROW(urge::set_procs(3), std::system_error);
  EXPECT_EQ(urge::procs(), 2);
  EXPECT_EQ(urge::run([] { return 4; }), 4) << "the others go on";
  stop = true;
  EXPECT_EQ(urge::set_procs(1), 2);
}

}  // namespace

// Nobody waits for ever: yields, slices inherited by pairs, the global queue, stealing.
//
// Ten thousand sleepers are more than TSan has memory and numbers for, and most hogs need signals.
// skip: tsan

#include <gtest/gtest.h>

#include <urge/urge.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "runtime/sched/sched.h"
#include "tests/testing/procs.h"

namespace {

using namespace std::chrono_literals;
using urge::testing::Await;

class FairnessTest : public urge::testing::ProcsTest {
 protected:
  void TearDown() override {
    Await([] { return urge::goroutines() == 0; });
    settings().slice_ns = 10'000'000;
  }
  static urge::sched::Settings& settings() { return urge::sched::g_sched.settings; }
};
URGE_TEST_AT_PROCS(FairnessTest);

// Go: TestYieldProgress, TestYieldLockedProgress.
TEST_P(FairnessTest, YieldingLetsOthersRun) {
  for (const bool locked : {false, true}) {
    urge::run([locked] {
      std::atomic<bool> stop{false}, stopped{false};
      urge::go([&] {
        if (locked) urge::lock_os_thread();
        while (!stop) urge::yield();
        stopped = true;
      });
      for (int i = 0; i < 100; ++i) urge::yield();
      stop = true;
      Await([&] { return stopped.load(); });
    });
  }
}

// Go: TestGoroutineParallelism: as many goroutines as processors hand over by spinning alone.
TEST_P(FairnessTest, SpinningHandOverEnds) {
  const auto n = static_cast<unsigned>(GetParam());
  urge::run([n] {
    for (int round = 0; round < 3; ++round) {
      std::atomic<unsigned> turn{0};
      urge::wait_group group;
      for (unsigned p = 0; p < n; ++p) {
        group.go([&, p] {
          for (unsigned i = 0; i < 3; ++i) {
            while (turn.load(std::memory_order_relaxed) != i * n + p) {
            }
            ++turn;
          }
        });
      }
      group.wait();
    }
  });
}

// Go: TestPingPongHog. The pair runs in one slice, so a hog beside it gets its share, and so
// does the pair.
TEST_P(FairnessTest, APingPongPairAndAHogShareAProcessor) {
  urge::set_procs(1);
  urge::run([] {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> rounds{0}, hog_rounds{0};
    urge::chan<int> there(0), back(0);
    urge::wait_group group;
    group.go([&] {
      while (there.recv()) back.send(0);
    });
    group.go([&] {
      while (!stop) {
        there.send(0);
        static_cast<void>(back.recv());
        ++rounds;
      }
      there.close();
    });
    group.go([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        hog_rounds.fetch_add(1, std::memory_order_relaxed);
      }
    });
    // Each makes progress again and again.
    for (int i = 0; i < 5; ++i) {
      const std::uint64_t seen = rounds, hog_seen = hog_rounds;
      Await([&] { return rounds > seen + 100 && hog_rounds > hog_seen + 100'000; });
    }
    stop = true;
    group.wait();
  });
}

// Go: TestSchedLocalQueue and the 61st tick. A pair that starts each other for ever never empties
// the local queue; what plain threads queue is served all the same.
TEST_P(FairnessTest, TheGlobalQueueIsServedWhileAPairRespawnsItself) {
  urge::set_procs(1);
  std::atomic<bool> stop{false};
  struct Pair {
    static void Next(std::atomic<bool>& stop) {
      if (!stop) urge::go([&stop] { Next(stop); });
    }
  };
  urge::go([&] { Pair::Next(stop); });
  urge::go([&] { Pair::Next(stop); });
  for (int i = 0; i < 20; ++i) {
    std::atomic<bool> ran{false};
    urge::go([&] { ran = true; });  // from a plain thread: the global queue
    Await([&] { return ran.load(); });
  }
  stop = true;
}

TEST_P(FairnessTest, WorkBehindAHogIsStolen) {
  if (GetParam() == 1) GTEST_SKIP() << "nobody to steal";
  // Before its slice is over: who can't be stopped then has its queue taken away.
  settings().slice_ns = 1'000'000'000'000;
  urge::run([] {
    const urge::no_preempt hold;  // the caller gives way to nobody
    const std::uint64_t stolen = urge::read_metrics().stolen_goroutines;
    std::atomic<int> ran{0};
    for (int i = 0; i < 200; ++i) {
      urge::go([&] { ++ran; });
    }
    while (ran.load() < 200) {
    }
    EXPECT_GT(urge::read_metrics().stolen_goroutines, stolen);
  });
}

// Only the goroutine next in line is there to be had.
TEST_P(FairnessTest, ASingleGoroutineBehindAHogIsStolen) {
  if (GetParam() == 1) GTEST_SKIP() << "nobody to steal";
  urge::run([] {
    const urge::no_preempt hold;
    for (int i = 0; i < 200; ++i) {
      std::atomic<bool> ran{false};
      urge::go([&] { ran = true; });
      while (!ran.load()) {
      }
    }
  });
}

TEST_P(FairnessTest, AnOverflowingQueueLosesNobody) {
  urge::run([] {
    std::atomic<int> ran{0};
    {
      const urge::no_preempt hold;
      for (int i = 0; i < 5'000; ++i) urge::go([&] { ++ran; });
    }
    Await([&] { return ran == 5'000; });
  });
}

TEST_P(FairnessTest, TenThousandSleepersWakeInOrderOfTheirDeadlines) {
  constexpr int kSleepers = 10'000;
  urge::run([&] {
    const auto start = std::chrono::steady_clock::now() + 50ms;
    std::atomic<int> awake{0}, early{0};
    urge::wait_group group;
    for (int i = 0; i < kSleepers; ++i) {
      group.go([&, i] {
        const auto deadline = start + std::chrono::microseconds((i * 7919) % 50'000);
        urge::sleep_until(deadline);
        if (std::chrono::steady_clock::now() < deadline) ++early;
        ++awake;
      });
    }
    group.wait();
    EXPECT_EQ(awake, kSleepers);
    EXPECT_EQ(early, 0);
  });
}

}  // namespace

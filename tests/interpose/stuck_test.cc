// Calls that block inside libc, where nobody stands in for them, and code that computes for long
// where it may not be interrupted: another processor takes over.
//
// Under ThreadSanitizer signals preempt nobody, and the hogs here call nothing.
// skip: tsan

#include <gtest/gtest.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>

#include <urge/urge.h>

#include "runtime/sched/sched.h"
#include "tests/interpose/hogs.h"
#include "tests/testing/procs.h"

namespace urge {
namespace {

using namespace std::chrono_literals;
using testing::Await;
using testing::Hogs;

class StuckTest : public testing::ProcsTest {
 protected:
  // A FILE at each end of a pipe.
  void SetUp() override {
    ProcsTest::SetUp();
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    in_ = fdopen(ends[0], "r");
    out_ = fdopen(ends[1], "w");
    setvbuf(out_, nullptr, _IOLBF, BUFSIZ);
  }
  void TearDown() override {
    fclose(in_);
    fclose(out_);
  }

  FILE* in_ = nullptr;
  FILE* out_ = nullptr;
};
URGE_TEST_AT_PROCS(StuckTest);

TEST_P(StuckTest, AReaderInStdioDoesNotKeepItsProcessor) {
  run([this] {
    wait_group all;
    for (int g = 0; g < 3; ++g) {
      all.go([this] {
        char line[32];
        ASSERT_NE(fgets(line, sizeof(line), in_), nullptr);
        EXPECT_STREQ(line, "x\n");
      });
    }
    yield();
    for (int i = 0; i < 3; ++i) {
      sleep_for(1ms);
      fputs("x\n", out_);
    }
    all.wait();
  });
}

// The lock's holder sleeps, and must be woken while another waits for the lock inside libc.
TEST_P(StuckTest, AFileLockHeldOverASleepIsReleased) {
  run([this] {
    for (int i = 0; i < 3; ++i) {
      wait_group all;
      std::atomic<bool> held{false};
      all.go([&] {
        flockfile(out_);
        held = true;
        sleep_for(3ms);
        funlockfile(out_);
      });
      all.go([&] {
        Await([&] { return held.load(); });
        fputs("y\n", out_);
      });
      all.wait();
    }
  });
}

TEST_P(StuckTest, TheNumberOfProcessorsComesBack) {
  const int before = procs();
  run([this] {
    const Hogs hogs(2);
    for (int i = 0; i < 2; ++i) {
      wait_group all;
      for (int g = 0; g < 4; ++g) {
        all.go([this] {
          char line[32];
          EXPECT_NE(fgets(line, sizeof(line), in_), nullptr);
        });
      }
      for (int l = 0; l < 4; ++l) {
        sleep_for(2ms);
        fputs("z\n", out_);
        EXPECT_EQ(procs(), GetParam());
      }
      all.wait();
    }
    // The hogs are preempted, and idle processors go.
    while (sched::g_sched.spare_ps != 0) yield();
  });
  EXPECT_EQ(procs(), before);
  EXPECT_EQ(sched::g_sched.procs, before);
}

TEST_P(StuckTest, TimersGoOnWhileAProcessorIsStuck) {
  run([this] {
    const Hogs hogs(1);
    wait_group all;
    std::atomic<bool> stop{false};
    all.go([&] {
      char line[32];
      EXPECT_NE(fgets(line, sizeof(line), in_), nullptr);
      stop = true;
    });
    int ticks = 0;
    while (ticks < 20) {
      sleep_for(1ms);
      ++ticks;
    }
    fputs("end\n", out_);
    all.wait();
    EXPECT_TRUE(stop);
  });
}

// Computes until told to stop, and may not be interrupted.
[[gnu::noinline]] void DeniedSpin(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) {
  }
}

// The same on top of foreign frames, which may hold a lock.
void SpinInACallback(std::atomic<bool>& stop) {
  dl_iterate_phdr(
      [](dl_phdr_info*, std::size_t, void* flag) {
        while (!static_cast<std::atomic<bool>*>(flag)->load(std::memory_order_relaxed)) {
        }
        return 1;
      },
      &stop);
}

// Sleepers and hogs go on beside more of them than there are processors.
template <class Spin>
void OthersGoOnBeside(Spin spin) {
  const int before = procs();
  run([&] {
    std::atomic<bool> stop{false};
    std::atomic<int> rounds{0};
    wait_group all;
    for (int i = 0; i < before + 1; ++i) all.go([&] { spin(stop); });
    all.go([&] {
      while (!stop) ++rounds;
    });
    for (int i = 0; i < 20; ++i) sleep_for(1ms);
    Await([&] { return rounds.load() > 0; });
    stop = true;
    all.wait();
    while (sched::g_sched.spare_ps != 0) yield();
  });
  EXPECT_EQ(procs(), before);
  EXPECT_EQ(sched::g_sched.procs, before);
}

TEST_P(StuckTest, OthersGoOnBesideDeniedCodeThatComputesForEver) {
  ASSERT_TRUE(deny_preemption("*DeniedSpin*"));
  const metrics before = read_metrics();
  OthersGoOnBeside(DeniedSpin);
  EXPECT_GT((read_metrics() - before).spare_procs, 0u);
}

TEST_P(StuckTest, OthersGoOnBesideACallbackThatComputesForEver) {
  // The loader's lock lets one in at a time: the others wait for it, stuck in the kernel.
  OthersGoOnBeside(SpinInACallback);
}

}  // namespace
}  // namespace urge

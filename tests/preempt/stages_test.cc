// The stages of preemptions: which are passed through, and that none of the time is lost.
//
// Signals preempt nobody under ThreadSanitizer:
// skip: tsan

#include <gtest/gtest.h>

#include <urge/urge.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "runtime/sched/sched.h"
#include "tests/testing/procs.h"

namespace {

using namespace std::chrono_literals;
using urge::latency_distribution;
using urge::metrics;
using urge::testing::Await;

constexpr std::array kStages = {
    &metrics::preempt_detected, &metrics::preempt_marked,       &metrics::preempt_signalled,
    &metrics::preempt_handled,  &metrics::preempt_accepted,     &metrics::preempt_switched_off,
    &metrics::preempt_requeued, &metrics::preempt_next_running,
};

class StagesTest : public urge::testing::ProcsTest {
 protected:
  void SetUp() override {
    ProcsTest::SetUp();
    settings().slice_ns = 1'000'000;
  }
  void TearDown() override {
    Await([] { return urge::goroutines() == 0; });
    settings().cooperative_preempt = settings().async_preempt = true;
    settings().slice_ns = 10'000'000;
  }
  static urge::sched::Settings& settings() { return urge::sched::g_sched.settings; }
};

// Hogs, and one that sleeps and wakes, until there have been n answers; what was measured.
template <class Hog>
metrics Storm(std::uint64_t n, Hog hog) {
  const metrics before = urge::read_metrics();
  std::atomic<bool> stop{false};
  for (int i = 0; i < 2 + urge::procs(); ++i) urge::go([&] { hog(stop); });
  urge::go([&] {
    while (!stop) urge::sleep_for(300us);
  });
  metrics m;
  do {
    std::this_thread::sleep_for(1ms);
    m = urge::read_metrics() - before;
  } while (m.acks_prologue + m.acks_signal < n);
  stop = true;
  Await([] { return urge::goroutines() == 0; });
  return urge::read_metrics() - before;
}

void CallFree(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) {
  }
}
void Checking(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) urge::checkpoint();
}

double SumNs(const latency_distribution& d) {
  return static_cast<double>(d.mean().count()) * static_cast<double>(d.count());
}

TEST_P(StagesTest, AddUpToTheTotal) {
  const metrics m = Storm(300, CallFree);
  double sum = 0;
  for (const auto stage : kStages) sum += SumNs(m.*stage);
  const double total = SumNs(m.preempt_total);
  // At the end of the storm each processor may have stopped one that nobody came after.
  EXPECT_NEAR(sum / total, 1, 0.2) << sum << " of " << total;
  // None is left out, but for those that a stop of the world or the end met.
  const double answers = static_cast<double>(m.acks_prologue + m.acks_signal);
  EXPECT_NEAR(static_cast<double>(m.preempt_accepted.count()) / answers, 1, 0.05);
  EXPECT_NEAR(static_cast<double>(m.preempt_total.count()) / answers, 1, 0.1);
}

TEST_P(StagesTest, WithoutSignalsAreMarkedOnly) {
  settings().async_preempt = false;
  const metrics m = Storm(100, Checking);
  EXPECT_GT(m.preempt_marked.count(), 50u);
  EXPECT_EQ(m.preempt_signalled.count(), 0u);
  EXPECT_EQ(m.preempt_handled.count(), 0u);
  EXPECT_GT(m.preempt_accepted.count(), 50u);
}

TEST_P(StagesTest, WithoutMarksAreHandledOnly) {
  settings().cooperative_preempt = false;
  const metrics m = Storm(100, CallFree);
  EXPECT_EQ(m.preempt_marked.count(), 0u);
  EXPECT_GT(m.preempt_signalled.count(), 50u);
  EXPECT_GT(m.preempt_handled.count(), 50u);
}

TEST_P(StagesTest, TimePutOffIsKeptApart) {
  const metrics m = Storm(50, [](const std::atomic<bool>& stop) {
    while (!stop.load(std::memory_order_relaxed)) {
      const urge::no_preempt hold;
      const auto until = std::chrono::steady_clock::now() + 5ms;
      while (std::chrono::steady_clock::now() < until) {
      }
    }
  });
  EXPECT_GT(m.deferred_no_preempt, 0u);
  EXPECT_GT(m.preempt_deferred.count(), 10u);
  // A slice of 1 ms is over long before the 5 ms are.
  EXPECT_GT(m.preempt_deferred.quantile(0.9), 1ms);
  EXPECT_GE(m.preempt_accepted.max(), m.preempt_deferred.quantile(0.5));
}

TEST_P(StagesTest, WakeUpsOfTimersAndThreadsAreTimed) {
  const metrics before = urge::read_metrics();
  urge::run([] {
    for (int i = 0; i < 10; ++i) urge::sleep_for(100us);
  });
  const metrics m = urge::read_metrics() - before;
  EXPECT_GE(m.wakeup_to_run.count(), 10u);
}

URGE_TEST_AT_PROCS(StagesTest);

TEST(LatencyDistribution, ItsBucketsHoldEachValueOnce) {
  for (const std::uint64_t ns : {0, 7, 1'000, 1'001, 5'000'000}) {
    urge::trace::RecordShared(urge::trace::Latency::kSliceLength, ns);
  }
  const latency_distribution d = urge::read_metrics().slice_length;
  std::uint64_t count = 0;
  std::chrono::nanoseconds last{-1};
  d.for_each_bucket([&](auto lower, auto upper, std::uint64_t n) {
    EXPECT_GT(lower, last);
    EXPECT_GT(upper, lower);
    EXPECT_GT(n, 0u);
    last = lower;
    count += n;
  });
  EXPECT_EQ(count, d.count());
  EXPECT_GT(count, 0u);
}

}  // namespace

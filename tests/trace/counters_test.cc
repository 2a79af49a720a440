// Counters: nothing is lost, to a handler on the same thread either; sums cover the registry.

#include "runtime/trace/counters.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>

#include <memory>
#include <thread>
#include <vector>

namespace urge::trace {
namespace {

OwnedCounter interrupted;
std::uint64_t handled = 0;

TEST(OwnedCounter, KeepsWhatAHandlerAddsInBetween) {
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) {
    interrupted.Add(1);
    ++handled;
  };
  ASSERT_EQ(sigaction(SIGALRM, &action, &before), 0);
  const itimerval often = {{0, 50}, {0, 50}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
  std::uint64_t added = 0;
  for (; added < 100'000'000; ++added) interrupted.Add(1);
  const itimerval never = {};
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  EXPECT_GT(handled, 0u);
  EXPECT_EQ(interrupted.Read(), added + handled);
}

TEST(ProcStats, SumsCoverOwnedAndSharedOnes) {
  static ProcStats a, b;
  const std::uint64_t before = SumOf(Counter::kMarks);
  HistogramSnapshot latency_before;
  SumOf(Latency::kAckSignal, latency_before);
  RegisterStats(&a);
  RegisterStats(&b);
  a.Add(Counter::kMarks);
  b.Add(Counter::kMarks, 10);
  AddShared(Counter::kMarks, 100);
  a.Record(Latency::kAckSignal, 5'000);
  RecordShared(Latency::kAckSignal, 7'000);
  EXPECT_EQ(SumOf(Counter::kMarks) - before, 111u);
  HistogramSnapshot latency;
  SumOf(Latency::kAckSignal, latency);
  EXPECT_EQ(latency.Count() - latency_before.Count(), 2u);
}

TEST(ProcStats, RegisteringIsSafeFromManyThreads) {
  const std::uint64_t before = SumOf(Counter::kSteals);
  constexpr int kThreads = 4, kEach = 8;
  static ProcStats stats[kThreads][kEach];
  std::vector<std::thread> threads;
  for (auto& mine : stats) {
    threads.emplace_back([&mine] {
      for (ProcStats& s : mine) {
        s.Add(Counter::kSteals);
        RegisterStats(&s);
        SumOf(Counter::kSteals);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(SumOf(Counter::kSteals) - before, std::uint64_t{kThreads} * kEach);
}

}  // namespace
}  // namespace urge::trace

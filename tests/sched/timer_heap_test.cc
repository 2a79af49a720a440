// TimerHeap against a sorted model.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/sched/timer.h"
#include "tests/testing/procs.h"

namespace {

using urge::sched::Timer;
using urge::sched::TimerHeap;

// Timers that note when they fire.
class Recorder {
 public:
  explicit Recorder(std::size_t n) : timers_(n) {
    for (Timer& timer : timers_) {
      timer.arg = this;
      timer.callback = [](Timer* fired, std::uint64_t) {
        static_cast<Recorder*>(fired->arg)->fired_.push_back(fired);
      };
    }
  }
  std::vector<Timer>& timers() { return timers_; }
  std::vector<Timer*> TakeFired() { return std::exchange(fired_, {}); }

 private:
  std::vector<Timer> timers_;
  std::vector<Timer*> fired_;
};

TEST(TimerHeapTest, FiresInOrderUnderRandomAddsAndRemoves) {
  auto random = urge::testing::Random();
  Recorder recorder(2'000);
  TimerHeap heap;
  std::multimap<std::uint64_t, Timer*> model;
  std::vector<Timer*> unarmed;
  for (Timer& timer : recorder.timers()) unarmed.push_back(&timer);
  std::uint64_t now = 0;
  const auto erase = [&](Timer* timer) {
    auto [it, end] = model.equal_range(timer->when_ns);
    while (it != end && it->second != timer) ++it;
    ASSERT_NE(it, end);
    model.erase(it);
  };
  for (int step = 0; step < 50'000; ++step) {
    const auto dice = random() % 10;
    if (dice < 6 && !unarmed.empty()) {
      Timer* timer = unarmed.back();
      unarmed.pop_back();
      timer->when_ns = now + 1 + random() % 500;
      const bool earliest = heap.Add(timer);
      // Among equal deadlines either may be ahead.
      const std::uint64_t least = model.empty() ? UINT64_MAX : model.begin()->first;
      if (timer->when_ns < least) {
        ASSERT_TRUE(earliest);
      }
      if (timer->when_ns > least) {
        ASSERT_FALSE(earliest);
      }
      model.emplace(timer->when_ns, timer);
    } else if (dice < 8 && !model.empty()) {
      auto it = model.begin();
      std::advance(it, static_cast<std::ptrdiff_t>(random() % model.size()));
      Timer* timer = it->second;
      ASSERT_TRUE(heap.Remove(timer));
      ASSERT_FALSE(heap.Remove(timer));
      erase(timer);
      unarmed.push_back(timer);
    } else {
      now += random() % 40;
      const int ran = heap.RunExpired(now);
      const std::vector<Timer*> fired = recorder.TakeFired();
      ASSERT_EQ(static_cast<std::size_t>(ran), fired.size());
      ASSERT_TRUE(std::is_sorted(fired.begin(), fired.end(), [](const Timer* a, const Timer* b) {
        return a->when_ns < b->when_ns;
      }));
      for (Timer* timer : fired) {
        ASSERT_LE(timer->when_ns, now);
        erase(timer);
        unarmed.push_back(timer);
      }
      ASSERT_TRUE(model.empty() || model.begin()->first > now);
    }
    ASSERT_EQ(heap.earliest_ns(), model.empty() ? urge::base::kNever : model.begin()->first);
  }
}

TEST(TimerHeapTest, APeriodicTimerSkipsWhatItHasMissed) {
  Recorder recorder(1);
  TimerHeap heap;
  Timer& timer = recorder.timers()[0];
  timer.when_ns = 100;
  timer.period_ns = 10;
  heap.Add(&timer);
  EXPECT_EQ(heap.RunExpired(99), 0);
  EXPECT_EQ(heap.RunExpired(100), 1);
  EXPECT_EQ(heap.earliest_ns(), 110u);
  EXPECT_EQ(heap.RunExpired(157), 1);
  EXPECT_EQ(heap.earliest_ns(), 160u);
  EXPECT_TRUE(heap.Remove(&timer));
  EXPECT_EQ(heap.earliest_ns(), urge::base::kNever);
}

TEST(TimerHeapTest, MovesEveryTimerToAnotherHeap) {
  auto random = urge::testing::Random();
  Recorder recorder(1'500);
  TimerHeap from, to;
  for (Timer& timer : recorder.timers()) {
    timer.when_ns = 1 + random() % 10'000;
    (random() % 2 == 0 ? from : to).Add(&timer);
  }
  from.MoveAllTo(to);
  EXPECT_EQ(from.earliest_ns(), urge::base::kNever);
  EXPECT_EQ(to.RunExpired(10'000), 1'500);
}

// Whoever unlists a timer, Remove or RunExpired, has it alone.
TEST(TimerHeapTest, StopAndExpiryNeverBothGetATimer) {
  constexpr int kRounds = 3'000;
  constexpr std::size_t kTimers = 16;
  auto random = urge::testing::Random();
  struct Counted {
    Timer timer;
    std::atomic<int> fired{0};
  };
  std::vector<Counted> timers(kTimers);
  for (Counted& c : timers) {
    c.timer.arg = &c;
    c.timer.callback = [](Timer* t, std::uint64_t) {
      static_cast<Counted*>(t->arg)->fired.fetch_add(1);
    };
  }
  TimerHeap heap;
  std::atomic<int> round{0}, expired_round{0};
  std::thread runner([&] {
    for (int r = 1; r <= kRounds; ++r) {
      while (round.load(std::memory_order_acquire) < r) std::this_thread::yield();
      heap.RunExpired(1'000);
      expired_round.store(r, std::memory_order_release);
    }
  });
  for (int r = 1; r <= kRounds; ++r) {
    for (Counted& c : timers) {
      c.fired.store(0);
      c.timer.when_ns = 1 + random() % 100;
      heap.Add(&c.timer);
    }
    round.store(r, std::memory_order_release);
    bool removed[kTimers];
    for (std::size_t i = kTimers; i-- > 0;) removed[i] = heap.Remove(&timers[i].timer);
    while (expired_round.load(std::memory_order_acquire) < r) std::this_thread::yield();
    for (std::size_t i = 0; i < kTimers; ++i) {
      ASSERT_EQ(timers[i].fired.load() + removed[i], 1) << "round " << r;
    }
  }
  runner.join();
}

}  // namespace

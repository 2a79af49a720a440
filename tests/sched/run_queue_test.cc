// RunQueue with rings so small that every wrap-around and overflow is reached.

#include "runtime/sched/run_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "tests/testing/procs.h"

namespace {

using urge::sched::BasicRunQueue;
using urge::sched::G;
using urge::sched::GQueue;

class Goroutines {
 public:
  explicit Goroutines(std::size_t n) : size_(n), gs_(new G[n]) {
    for (std::size_t i = 0; i < n; ++i) gs_[i].goid = i;
  }
  G* operator[](std::size_t i) { return &gs_[i]; }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_;
  std::unique_ptr<G[]> gs_;
};

template <class Queue>
struct SlotsOf;
template <std::uint32_t N>
struct SlotsOf<BasicRunQueue<N>> {
  static constexpr std::uint32_t value = N;
};

template <class Queue>
class RunQueueTest : public ::testing::Test {};
using Sizes = ::testing::Types<BasicRunQueue<2>, BasicRunQueue<4>, BasicRunQueue<8>>;
TYPED_TEST_SUITE(RunQueueTest, Sizes);

TYPED_TEST(RunQueueTest, IsFirstInFirstOutAcrossManyWraps) {
  constexpr std::uint32_t slots = SlotsOf<TypeParam>::value;
  Goroutines gs(slots);
  TypeParam queue;
  std::uint64_t in = 0, out = 0;
  for (int round = 0; round < 100; ++round) {
    while (queue.TryPush(gs[in % slots])) ++in;
    ASSERT_EQ(in - out, slots);
    ASSERT_EQ(queue.Size(), slots);
    for (std::uint32_t k = 0; k <= static_cast<std::uint32_t>(round) % slots; ++k) {
      ASSERT_EQ(round % 2 == 0 ? queue.Pop() : queue.PopUncontended(), gs[out++ % slots]);
    }
  }
  while (out < in) ASSERT_EQ(queue.Pop(), gs[out++ % slots]);
  EXPECT_EQ(queue.Pop(), nullptr);
  EXPECT_EQ(queue.PopUncontended(), nullptr);
  EXPECT_TRUE(queue.Empty());
}

TYPED_TEST(RunQueueTest, AFullRingGivesItsOlderHalfAway) {
  constexpr std::uint32_t slots = SlotsOf<TypeParam>::value;
  Goroutines gs(slots);
  TypeParam queue;
  for (std::uint32_t i = 0; i < slots; ++i) ASSERT_TRUE(queue.TryPush(gs[i]));
  GQueue half;
  ASSERT_TRUE(queue.TakeHalf(half));
  for (std::uint32_t i = 0; i < slots / 2; ++i) EXPECT_EQ(half.PopFront(), gs[i]);
  for (std::uint32_t i = slots / 2; i < slots; ++i) EXPECT_EQ(queue.Pop(), gs[i]);
  EXPECT_TRUE(half.empty());
  // With room to spare there is nothing to give away.
  ASSERT_TRUE(queue.TryPush(gs[0]));
  EXPECT_FALSE(queue.TakeHalf(half));
}

TYPED_TEST(RunQueueTest, AThiefTakesTheOlderHalfRoundedUp) {
  constexpr std::uint32_t slots = SlotsOf<TypeParam>::value;
  Goroutines gs(slots);
  for (std::uint32_t queued = 0; queued <= slots; ++queued) {
    for (std::uint32_t offset = 0; offset < slots; ++offset) {
      TypeParam victim, thief;
      for (std::uint32_t i = 0; i < offset; ++i) {  // the ring begins anywhere
        ASSERT_TRUE(victim.TryPush(gs[0]));
        ASSERT_NE(victim.Pop(), nullptr);
      }
      for (std::uint32_t i = 0; i < queued; ++i) ASSERT_TRUE(victim.TryPush(gs[i]));
      const std::uint32_t stolen = queued - queued / 2;
      G* to_run = victim.StealHalfInto(thief);
      ASSERT_EQ(to_run, stolen == 0 ? nullptr : gs[stolen - 1]);
      for (std::uint32_t i = 0; i + 1 < stolen; ++i) ASSERT_EQ(thief.Pop(), gs[i]);
      ASSERT_EQ(thief.Pop(), nullptr);
      for (std::uint32_t i = stolen; i < queued; ++i) ASSERT_EQ(victim.Pop(), gs[i]);
      ASSERT_EQ(victim.Pop(), nullptr);
    }
  }
}

TYPED_TEST(RunQueueTest, SingleSlotsHoldOneEachAndCount) {
  Goroutines gs(3);
  TypeParam queue;
  EXPECT_EQ(queue.ReplaceNext(gs[0]), nullptr);
  EXPECT_FALSE(queue.Empty());
  EXPECT_EQ(queue.ReplaceNext(gs[1]), gs[0]);
  EXPECT_EQ(queue.ReplaceVictim(gs[2]), nullptr);
  EXPECT_TRUE(queue.HasVictim());
  EXPECT_EQ(queue.Size(), 2u);
  EXPECT_EQ(queue.StealVictim(), gs[2]);
  EXPECT_EQ(queue.StealVictim(), nullptr);
  EXPECT_EQ(queue.PeekNext(), gs[1]);
  EXPECT_EQ(queue.StealNext(), gs[1]);
  EXPECT_EQ(queue.PopNext(), nullptr);
  EXPECT_TRUE(queue.Empty());
}

// An owner pushes, pops, uses next and victim and overflows while thieves steal: each goroutine
// comes out exactly once. Items hold no reference but their index, so each can be queued once.
TYPED_TEST(RunQueueTest, EachGoroutineComesOutExactlyOnceUnderTheft) {
  constexpr std::size_t kItems = 100'000;
  constexpr int kThieves = 3;
  auto random = urge::testing::Random();
  Goroutines gs(kItems);
  std::vector<std::atomic<int>> taken(kItems);
  const auto take = [&](G* gp) { taken[gp->goid].fetch_add(1, std::memory_order_relaxed); };
  TypeParam queue;
  std::atomic<bool> done{false};
  std::vector<std::thread> thieves;
  for (int t = 0; t < kThieves; ++t) {
    thieves.emplace_back([&, seed = random()] {
      std::mt19937_64 mine(seed);
      TypeParam own;
      const auto steal = [&] {
        bool any = false;
        if (G* gp = queue.StealHalfInto(own)) {
          take(gp);
          any = true;
        }
        while (G* gp = own.Pop()) take(gp);
        if (mine() % 4 == 0) {
          G* gp = mine() % 2 == 0 ? queue.StealNext() : queue.StealVictim();
          if (gp != nullptr) take(gp);
        }
        return any;
      };
      while (!done.load(std::memory_order_acquire)) {
        if (!steal()) std::this_thread::yield();
      }
    });
  }
  const auto push = [&](G* gp) {
    while (!queue.TryPush(gp)) {
      GQueue half;
      if (!queue.TakeHalf(half)) continue;
      while (G* overflow = half.PopFront()) take(overflow);
    }
  };
  for (std::size_t i = 0; i < kItems; ++i) {
    switch (random() % 8) {
      case 0:
        if (G* displaced = queue.ReplaceVictim(gs[i])) push(displaced);
        break;
      case 1:
      case 2:
        if (G* displaced = queue.ReplaceNext(gs[i])) push(displaced);
        break;
      default:
        push(gs[i]);
    }
    if (random() % 3 == 0) {
      G* gp = random() % 2 == 0 ? queue.PopNext() : queue.Pop();
      if (gp != nullptr) take(gp);
    }
  }
  while (!queue.Empty()) {
    for (G* gp : {queue.PopNext(), queue.PopVictim(), queue.Pop()}) {
      if (gp != nullptr) take(gp);
    }
  }
  done.store(true, std::memory_order_release);
  for (std::thread& thief : thieves) thief.join();
  for (std::size_t i = 0; i < kItems; ++i) ASSERT_EQ(taken[i].load(), 1) << "item " << i;
}

// Go: TestRunqempty. The owner moves a goroutine from next to the ring and takes it out again; at
// the points where an observer looks the queue holds one at every instant.
TYPED_TEST(RunQueueTest, IsNeverFalselyEmptyWhileAGoroutineIsDisplacedFromNext) {
  Goroutines gs(2);
  TypeParam queue;
  std::atomic<std::uint64_t> round{0};
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> false_empty{0};
  // Odd rounds: the queue has at least one goroutine throughout.
  std::thread observer([&] {
    while (!done.load(std::memory_order_acquire)) {
      const std::uint64_t before = round.load(std::memory_order_acquire);
      if (before % 2 == 0) continue;
      const bool empty = queue.Empty();
      if (empty && round.load(std::memory_order_acquire) == before) {
        false_empty.fetch_add(1, std::memory_order_relaxed);
      }
    }
  });
  for (int i = 0; i < 300'000; ++i) {
    queue.ReplaceNext(gs[0]);
    round.fetch_add(1);  // odd: not empty from here
    G* displaced = queue.ReplaceNext(gs[1]);
    ASSERT_TRUE(queue.TryPush(displaced));
    ASSERT_EQ(queue.PopNext(), gs[1]);
    round.fetch_add(1);  // even
    ASSERT_EQ(queue.Pop(), gs[0]);
  }
  done.store(true, std::memory_order_release);
  observer.join();
  EXPECT_EQ(false_empty.load(), 0u);
}

}  // namespace

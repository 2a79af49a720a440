// Goroutines: their callables, identity, number, and recycling.
//
// Ten thousand at a time are more than TSan has memory and numbers for.
// skip: tsan

#include <gtest/gtest.h>

#include <urge/urge.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "runtime/sched/current.h"
#include "runtime/sched/sched.h"
#include "tests/testing/procs.h"

namespace {

using urge::testing::Await;

class GoroutineTest : public urge::testing::ProcsTest {
 protected:
  void TearDown() override {
    Await([] { return urge::goroutines() == 0; });
  }
};
URGE_TEST_AT_PROCS(GoroutineTest);

TEST_P(GoroutineTest, ManyAreCountedAndAllRun) {
  constexpr int kCount = 10'000;
  urge::run([&] {
    std::atomic<int> ran{0};
    urge::chan<int> gate(0);
    for (int i = 0; i < kCount; ++i) {
      urge::go([&, gate] {
        static_cast<void>(gate.recv());
        ++ran;
      });
    }
    EXPECT_EQ(urge::goroutines(), std::size_t{kCount} + 1);
    gate.close();
    Await([&] { return urge::goroutines() == 1; });
    EXPECT_EQ(ran.load(), kCount);
  });
}

TEST_P(GoroutineTest, IdsAreUniqueOverGoroutinesAndThreads) {
  constexpr int kThreads = 4, kEach = 2'000;
  std::mutex lock;
  std::multiset<std::uint64_t> ids;
  const auto note = [&](std::uint64_t id) {
    std::lock_guard guard(lock);
    ids.insert(id);
  };
  std::atomic<int> left{kThreads * kEach * 2};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        urge::go([&] {
          urge::go([&] {
            note(urge::goid());
            --left;
          });
          note(urge::goid());
          --left;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Await([&] { return left.load() == 0; });
  EXPECT_EQ(ids.size(), kThreads * kEach * 2u);
  EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), ids.size());
  EXPECT_EQ(ids.count(0), 0u);
  EXPECT_EQ(urge::goid(), 0u) << "a plain thread is no goroutine";
}

TEST_P(GoroutineTest, DeadOnesAreUsedAgain) {
  const auto count_all = [] {
    int n = 0;
    for (auto* gp = urge::sched::FirstGoroutine(); gp != nullptr; gp = gp->all_next) ++n;
    return n;
  };
  const auto batch = [] {
    urge::run([] {
      urge::wait_group group;
      for (int i = 0; i < 500; ++i) group.go([] { urge::yield(); });
      group.wait();
    });
    Await([] { return urge::goroutines() == 0; });
  };
  batch();
  const int before = count_all();
  for (int i = 0; i < 40; ++i) batch();
  // Each processor may keep a list of its own.
  EXPECT_LE(count_all(), before + 64 * GetParam() + 64);
}

TEST_P(GoroutineTest, AStackIsUsedAgainByTheNextGoroutine) {
  if (GetParam() != 1) GTEST_SKIP() << "each processor has a free list";
  urge::run([] {
    const auto address_in = [] {
      return urge::async(
                 [] { return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)); })
          .get();
    };
    const std::uintptr_t first = address_in();
    for (int i = 0; i < 20; ++i) EXPECT_EQ(address_in(), first);
  });
}

TEST_P(GoroutineTest, NamesStacksAndLabelsAreThoseAskedFor) {
  urge::run([] {
    urge::wait_group group;
    group.add(1);
    urge::go(
        {.name = std::string(100, 'n'), .stack_size = 100'000, .labels = {{"a", "1"}, {"b", "2"}}},
        [&] {
          const urge::sched::G* gp = urge::sched::CurrentM()->curg.load();
          EXPECT_EQ(std::string(gp->name), std::string(31, 'n'));
          EXPECT_EQ(gp->stack.size(), 102'400u);
          EXPECT_EQ(urge::labels(), (urge::label_list{{"a", "1"}, {"b", "2"}}));
          group.add(1);
          urge::go({.labels = {{"b", "3"}, {"c", "4"}}}, [&] {
            EXPECT_EQ(urge::labels(), (urge::label_list{{"a", "1"}, {"b", "3"}, {"c", "4"}}));
            group.done();
          });
          group.add(1);
          urge::go([&] {
            EXPECT_EQ(urge::labels(), (urge::label_list{{"a", "1"}, {"b", "2"}}));
            const urge::sched::G* child = urge::sched::CurrentM()->curg.load();
            EXPECT_STREQ(child->name, "") << "names are not inherited";
            group.done();
          });
          group.done();
        });
    group.wait();
    urge::async([] { EXPECT_TRUE(urge::labels().empty()); }).get();
  });
}

struct Tracked {
  static inline std::atomic<int> alive{0};
  Tracked() { ++alive; }
  Tracked(const Tracked&) { ++alive; }
  Tracked(Tracked&&) noexcept { ++alive; }
  ~Tracked() { --alive; }
};

template <std::size_t Bytes, std::size_t Align>
struct alignas(Align) Payload {
  std::array<unsigned char, Bytes> bytes;
  Tracked tracked;
};

template <std::size_t Bytes, std::size_t Align>
void RunsPayload() {
  Payload<Bytes, Align> payload;
  for (std::size_t i = 0; i < Bytes; ++i) payload.bytes[i] = static_cast<unsigned char>(i * 7);
  urge::wait_group group;
  group.go([payload] {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&payload) % Align, 0u);
    for (std::size_t i = 0; i < Bytes; ++i) {
      ASSERT_EQ(payload.bytes[i], static_cast<unsigned char>(i * 7));
    }
  });
  group.wait();
  urge::async([payload] {
    EXPECT_EQ(payload.bytes[Bytes - 1], static_cast<unsigned char>((Bytes - 1) * 7));
  }).get();
}

TEST_P(GoroutineTest, ClosuresOfEverySizeAndAlignmentArriveWhole) {
  urge::run([] {
    RunsPayload<1, 1>();
    RunsPayload<17, 16>();
    RunsPayload<100, 64>();
    RunsPayload<100, 128>();
    RunsPayload<100, 4096>();
    RunsPayload<4000, 8>();
    RunsPayload<4096, 64>();
    RunsPayload<5000, 64>();
  });
  RunsPayload<40'000, 64>();
  // Larger than the new goroutine's stack.
  RunsPayload<1'000'000, 64>();
  EXPECT_EQ(Tracked::alive.load(), 0);
}

TEST_P(GoroutineTest, MoveOnlyCallablesAndArgumentsAreMoved) {
  urge::run([] {
    auto text = std::make_unique<std::string>("moved");
    urge::chan<std::string> out(1);
    urge::go([out](std::unique_ptr<std::string> p, int n) { out.send(*p + std::to_string(n)); },
             std::move(text), 7);
    EXPECT_EQ(text, nullptr);
    EXPECT_EQ(out.recv().value(), "moved7");
    EXPECT_EQ(urge::async([p = std::make_unique<int>(5)] { return *p; }).get(), 5);
  });
}

TEST_P(GoroutineTest, PlainThreadsStartGoroutinesAllAtOnce) {
  constexpr int kThreads = 6, kEach = 3'000;
  std::atomic<int> ran{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        urge::go([&] { ++ran; });
        if (i % 100 == 0) {
          EXPECT_EQ(urge::run([i] { return i; }), i);
          EXPECT_EQ(urge::async([i] { return i + 1; }).get(), i + 1);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Await([&] { return ran.load() == kThreads * kEach; });
}

TEST_P(GoroutineTest, SpawnTreesEnd) {
  std::atomic<int> ran{0};
  struct Tree {
    static void Grow(std::atomic<int>& ran, int depth) {
      ++ran;
      if (depth == 0) return;
      for (int i = 0; i < 4; ++i) urge::go([&ran, depth] { Grow(ran, depth - 1); });
    }
  };
  urge::go([&] { Tree::Grow(ran, 7); });
  const int all = (16384 * 4 - 1) / 3;
  Await([&] { return ran.load() == all; });
}

TEST_P(GoroutineTest, RunYieldsTheValueOrRethrows) {
  EXPECT_EQ(urge::run([] { return std::string("value"); }), "value");
  int x = 0;
  int& reference = urge::run([&]() -> int& { return x; });
  EXPECT_EQ(&reference, &x);
  try {
    urge::run([] { throw std::runtime_error("out"); });
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "out");
  }
  // In a goroutine as well.
  EXPECT_EQ(urge::run([] { return urge::run([] { return urge::goid(); }) != urge::goid(); }), true);
}

}  // namespace

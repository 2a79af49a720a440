// EventRing: what is read is whole and in its place, whoever writes meanwhile.

#include "runtime/trace/event_ring.h"

#include <gtest/gtest.h>

#include <pthread.h>
#include <signal.h>

#include <array>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace urge::trace {
namespace {

using Found = EventRing::Found;

constexpr std::uint64_t Mix(std::uint64_t n) { return n * 0x9e3779b97f4a7c15u ^ 0x5bd1e995; }

// The words of an event that belong together.
void WriteOne(EventRing& ring, std::uint64_t n) {
  ring.Write(EventKind::kGoStart, static_cast<std::uint8_t>(n), static_cast<std::uint16_t>(n), n,
             Mix(n), n);
}
void ExpectWhole(const Event& event) {
  EXPECT_EQ(event.kind, EventKind::kGoStart);
  EXPECT_EQ(event.b, Mix(event.a));
  EXPECT_EQ(event.ticks, event.a);
  EXPECT_EQ(event.detail, static_cast<std::uint8_t>(event.a));
  EXPECT_EQ(event.thread, static_cast<std::uint16_t>(event.a));
}

TEST(EventRing, EventsComeBackWholeAndInOrder) {
  EventRing ring;
  ASSERT_TRUE(ring.Allocate(8));
  for (std::uint64_t n = 0; n < 5; ++n) WriteOne(ring, n);
  EXPECT_EQ(ring.head(), 5u);
  for (std::uint64_t n = 0; n < 5; ++n) {
    Event event;
    ASSERT_EQ(ring.Read(n, &event), Found::kEvent);
    EXPECT_EQ(event.a, n);
    EXPECT_EQ(event.order, n);
    ExpectWhole(event);
  }
}

TEST(EventRing, WhatIsOverwrittenIsToldFromWhatIsThere) {
  EventRing ring;
  ASSERT_TRUE(ring.Allocate(8));
  for (std::uint64_t n = 0; n < 20; ++n) WriteOne(ring, n);
  for (std::uint64_t n = 0; n < 20; ++n) {
    Event event;
    EXPECT_EQ(ring.Read(n, &event), n < 12 ? Found::kOverwritten : Found::kEvent) << n;
  }
}

TEST(EventRing, AllocatingTwiceKeepsTheEvents) {
  EventRing ring;
  ASSERT_TRUE(ring.Allocate(8));
  WriteOne(ring, 7);
  ASSERT_TRUE(ring.Allocate(64));
  EXPECT_EQ(ring.capacity(), 8u);
  Event event;
  EXPECT_EQ(ring.Read(0, &event), Found::kEvent);
}

TEST(EventRing, AReaderBesideAFastWriterSeesNoTornEvent) {
  constexpr std::uint64_t kEvents = 2'000'000;
  EventRing ring;
  ASSERT_TRUE(ring.Allocate(16));  // so that every event is overwritten while it is read
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint64_t n = 0; n < kEvents; ++n) WriteOne(ring, n);
    done = true;
  });
  std::uint64_t seen = 0;
  while (!done) {
    const std::uint64_t head = ring.head();
    for (std::uint64_t n = head - std::min<std::uint64_t>(head, 16); n < head; ++n) {
      Event event;
      if (ring.Read(n, &event) != Found::kEvent) continue;
      ++seen;
      ASSERT_EQ(event.a, n);
      ExpectWhole(event);
    }
  }
  writer.join();
  for (std::uint64_t n = kEvents - 16; n < kEvents; ++n) {
    Event event;
    ASSERT_EQ(ring.Read(n, &event), Found::kEvent);
    EXPECT_EQ(event.a, n);
  }
  RecordProperty("events_seen", static_cast<int>(seen));
}

// The owner is interrupted at any instruction by a handler that writes to the same ring.
TEST(EventRing, AHandlerOfTheWritersThreadMayWriteAmidstAnEvent) {
  static EventRing ring;
  ASSERT_TRUE(ring.Allocate(1 << 20));
  static std::atomic<std::uint64_t> handled{0};
  struct sigaction action {};
  action.sa_handler = [](int) {
    WriteOne(ring, 1'000'000'000 + handled.fetch_add(1, std::memory_order_relaxed));
  };
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  constexpr std::uint64_t kHandled = 500;
  const pthread_t owner = pthread_self();
  std::thread interrupter([&] {
    for (std::uint64_t n = 0; n < kHandled; ++n) {
      pthread_kill(owner, SIGUSR1);
      while (handled.load(std::memory_order_relaxed) <= n) std::this_thread::yield();
    }
  });
  std::uint64_t written = 0;
  while (handled.load(std::memory_order_relaxed) < kHandled) {
    if (written < 900'000) WriteOne(ring, written++);
  }
  interrupter.join();
  sigaction(SIGUSR1, &before, nullptr);
  ASSERT_EQ(ring.head(), written + kHandled) << "a place was given twice, or skipped";
  std::uint64_t next = 0, next_handled = 1'000'000'000;
  for (std::uint64_t n = 0; n < ring.head(); ++n) {
    Event event;
    ASSERT_EQ(ring.Read(n, &event), Found::kEvent) << n;
    ExpectWhole(event);
    ASSERT_EQ(event.a, event.a < 1'000'000'000 ? next++ : next_handled++);
  }
}

TEST(EventRing, ThreadsThatShareOneLoseNothingWhileThereIsRoom) {
  constexpr std::uint64_t kThreads = 4, kEach = 20'000;
  EventRing ring;
  ASSERT_TRUE(ring.Allocate(1 << 17));
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&ring, t] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        const std::uint64_t n = t * kEach + i;
        ring.WriteShared(EventKind::kGoStart, static_cast<std::uint8_t>(n),
                         static_cast<std::uint16_t>(n), n, Mix(n), n);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(ring.head(), kThreads * kEach);
  std::set<std::uint64_t> seen;
  for (std::uint64_t n = 0; n < ring.head(); ++n) {
    Event event;
    ASSERT_EQ(ring.Read(n, &event), Found::kEvent);
    ExpectWhole(event);
    EXPECT_TRUE(seen.insert(event.a).second);
  }
}

TEST(EventRing, ThreadsThatLapEachOtherLeaveNoTornEvent) {
  constexpr std::uint64_t kThreads = 4, kEach = 200'000;
  EventRing ring;
  ASSERT_TRUE(ring.Allocate(4));  // so that they meet in one slot
  std::atomic<std::uint64_t> running{kThreads};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        const std::uint64_t n = t * kEach + i;
        ring.WriteShared(EventKind::kGoStart, static_cast<std::uint8_t>(n),
                         static_cast<std::uint16_t>(n), n, Mix(n), n);
      }
      --running;
    });
  }
  while (running != 0) {
    const std::uint64_t head = ring.head();
    for (std::uint64_t n = head - std::min<std::uint64_t>(head, 4); n < head; ++n) {
      Event event;
      if (ring.Read(n, &event) == Found::kEvent) ExpectWhole(event);
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ring.head(), kThreads * kEach);
}

}  // namespace
}  // namespace urge::trace

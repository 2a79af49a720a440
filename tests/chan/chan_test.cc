// What a channel promises, one property a test.

#include <urge/urge.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "tests/testing/procs.h"

namespace {

using urge::testing::Await;

class ChanTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(ChanTest);

TEST_P(ChanTest, UnbufferedSendWaitsForTheReceiver) {
  urge::run([] {
    urge::chan<int> c;
    std::atomic<bool> sent{false};
    urge::wait_group wg;
    wg.go([&] {
      c.send(1);
      sent = true;
    });
    for (int i = 0; i < 100; ++i) urge::yield();
    EXPECT_FALSE(sent);
    EXPECT_EQ(c.recv(), 1);
    wg.wait();
    EXPECT_TRUE(sent);
  });
}

TEST_P(ChanTest, ReceiveWaitsForTheSender) {
  urge::run([] {
    urge::chan<int> c;
    auto received = urge::async([&] { return c.recv(); });
    for (int i = 0; i < 100; ++i) urge::yield();
    EXPECT_NE(received.wait_for(std::chrono::seconds(0)), std::future_status::ready);
    c.send(7);
    EXPECT_EQ(received.get(), 7);
  });
}

TEST_P(ChanTest, BufferTakesCapacityElementsWithoutAReceiverAndKeepsTheirOrder) {
  urge::run([] {
    for (const int capacity : {1, 2, 3, 7, 100}) {
      urge::chan<int> c(capacity);
      EXPECT_EQ(c.capacity(), static_cast<std::size_t>(capacity));
      for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < capacity; ++i) EXPECT_TRUE(c.try_send(i));
        EXPECT_FALSE(c.try_send(-1));
        EXPECT_EQ(c.size(), static_cast<std::size_t>(capacity));
        for (int i = 0; i < capacity; ++i) EXPECT_EQ(c.recv(), i);
        EXPECT_EQ(c.size(), 0u);
        EXPECT_EQ(c.try_recv(), std::nullopt);
      }
    }
  });
}

TEST_P(ChanTest, OrderIsKeptThroughABufferThatFillsAndDrains) {
  urge::run([] {
    for (const int capacity : {0, 1, 2, 10}) {
      urge::chan<int> c(capacity);
      urge::wait_group wg;
      wg.go([&] {
        for (int i = 0; i < 10'000; ++i) c.send(i);
        c.close();
      });
      int expected = 0;
      for (const int v : c) ASSERT_EQ(v, expected++);
      EXPECT_EQ(expected, 10'000);
      wg.wait();
    }
  });
}

TEST_P(ChanTest, EveryElementArrivesOnceBetweenManySendersAndReceivers) {
  urge::run([] {
    constexpr int kSenders = 8, kReceivers = 8, kEach = 5'000;
    for (const int capacity : {0, 1, 16}) {
      urge::chan<int> c(capacity);
      std::vector<std::atomic<int>> seen(kSenders * kEach);
      urge::wait_group senders, receivers;
      for (int s = 0; s < kSenders; ++s) {
        senders.go([&, s] {
          for (int i = 0; i < kEach; ++i) c.send(s * kEach + i);
        });
      }
      for (int r = 0; r < kReceivers; ++r) {
        receivers.go([&] {
          std::vector<int> last(kSenders, -1);
          for (const int v : c) {
            seen[v].fetch_add(1, std::memory_order_relaxed);
            // One receiver sees each sender's elements in order.
            ASSERT_LT(last[v / kEach], v);
            last[v / kEach] = v;
          }
        });
      }
      senders.wait();
      c.close();
      receivers.wait();
      EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](auto& n) { return n == 1; }));
    }
  });
}

TEST_P(ChanTest, CloseLetsReceiversDrainTheBufferAndThenSeesNullopt) {
  urge::run([] {
    urge::chan<int> c(3);
    c.send(1);
    c.send(2);
    EXPECT_FALSE(c.closed());
    c.close();
    EXPECT_TRUE(c.closed());
    EXPECT_FALSE(c.drained());
    EXPECT_EQ(c.recv(), 1);
    EXPECT_EQ(c.try_recv(), 2);
    EXPECT_TRUE(c.drained());
    EXPECT_EQ(c.recv(), std::nullopt);
    EXPECT_EQ(c.try_recv(), std::nullopt);
    EXPECT_EQ(c.recv(), std::nullopt);
  });
}

TEST_P(ChanTest, CloseWakesEveryWaitingReceiver) {
  urge::run([] {
    urge::chan<int> c;
    std::atomic<int> empty{0};
    urge::wait_group wg;
    for (int i = 0; i < 100; ++i) {
      wg.go([&] { empty += !c.recv().has_value(); });
    }
    for (int i = 0; i < 10; ++i) urge::yield();
    c.close();
    wg.wait();
    EXPECT_EQ(empty, 100);
  });
}

TEST_P(ChanTest, CloseThrowsInEveryWaitingSender) {
  urge::run([] {
    urge::chan<int> c;
    std::atomic<int> thrown{0};
    urge::wait_group wg;
    for (int i = 0; i < 100; ++i) {
      wg.go([&] {
        try {
          c.send(1);
        } catch (const urge::closed_channel& e) {
          EXPECT_STREQ(e.what(), "urge::chan: send on closed channel");
          ++thrown;
        }
      });
    }
    for (int i = 0; i < 10; ++i) urge::yield();
    c.close();
    wg.wait();
    EXPECT_EQ(thrown, 100);
  });
}

TEST_P(ChanTest, SendAndCloseOfAClosedChannelThrow) {
  urge::run([] {
    for (const int capacity : {0, 1}) {
      urge::chan<int> c(capacity);
      c.close();
      EXPECT_THROW(c.send(1), urge::closed_channel);
      EXPECT_THROW(static_cast<void>(c.try_send(1)), urge::closed_channel);
      EXPECT_THROW(c.close(), urge::closed_channel);
    }
    urge::chan<std::string> boxed(1);
    boxed.close();
    EXPECT_THROW(boxed.send("x"), urge::closed_channel);
    EXPECT_THROW(static_cast<void>(boxed.try_send("x")), urge::closed_channel);
  });
}

TEST_P(ChanTest, TryOperationsMeetWaitingPartners) {
  urge::run([] {
    urge::chan<int> c;
    EXPECT_FALSE(c.try_send(1));
    EXPECT_EQ(c.try_recv(), std::nullopt);
    auto received = urge::async([&] { return c.recv(); });
    Await([&] { return c.try_send(5); });
    EXPECT_EQ(received.get(), 5);
    auto sent = urge::async([&] { c.send(6); });
    std::optional<int> v;
    Await([&] { return (v = c.try_recv()).has_value(); });
    EXPECT_EQ(v, 6);
    sent.get();
  });
}

TEST_P(ChanTest, AnInvalidCapacityIsRefused) {
  EXPECT_THROW(urge::chan<int>(-1), std::invalid_argument);
  EXPECT_THROW(urge::chan<int>(PTRDIFF_MAX), std::length_error);
  try {
    urge::chan<int> c(-5);
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "urge::chan: negative capacity");
  }
}

TEST_P(ChanTest, CopiesAreTheSameChannel) {
  urge::run([] {
    urge::chan<int> a(1), b(1);
    const urge::chan<int> c = a;
    EXPECT_TRUE(a == c);
    EXPECT_FALSE(a == b);
    c.send(3);
    EXPECT_EQ(a.recv(), 3);
    b = a;
    a.send(4);
    EXPECT_EQ(b.recv(), 4);
    urge::chan<int> moved = std::move(b);
    EXPECT_TRUE(moved == a);
    auto& self = moved;
    moved = self;
    EXPECT_TRUE(moved == a);
  });
}

TEST_P(ChanTest, NilChannelsAreNeverReady) {
  const auto nil = urge::chan<int>::nil();
  EXPECT_FALSE(nil.try_send(1));
  EXPECT_EQ(nil.try_recv(), std::nullopt);
  EXPECT_EQ(nil.size(), 0u);
  EXPECT_EQ(nil.capacity(), 0u);
  EXPECT_FALSE(nil.closed());
  EXPECT_THROW(nil.close(), std::logic_error);
  urge::chan<int> a;
  urge::chan<int> b = std::move(a);
  EXPECT_TRUE(a == nil);
}

TEST_P(ChanTest, SendAndReceiveOnNilBlock) {
  // These two goroutines stay for ever.
  static std::atomic<int> started{0}, passed{0};
  started = 0;
  urge::go([] {
    ++started;
    urge::chan<int>::nil().send(1);
    ++passed;
  });
  urge::go([] {
    ++started;
    static_cast<void>(urge::chan<int>::nil().recv());
    ++passed;
  });
  Await([] { return started == 2; });
  for (int i = 0; i < 100; ++i) urge::yield();
  EXPECT_EQ(passed, 0);
}

TEST_P(ChanTest, PlainThreadsAndGoroutinesShareAChannel) {
  constexpr int kEach = 2'000;
  for (const int capacity : {0, 4}) {
    urge::chan<int> c(capacity);
    std::atomic<std::int64_t> sum{0};
    urge::wait_group receivers;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      receivers.go([&] {
        for (const int v : c) sum += v;
      });
      receivers.add(1);
      threads.emplace_back([&] {
        for (const int v : c) sum += v;
        receivers.done();
      });
    }
    urge::wait_group senders;
    const auto send = [&] {
      for (int i = 1; i <= kEach; ++i) c.send(i);
    };
    senders.go(send);
    senders.go(send);
    std::thread t1(send), t2(send);
    senders.wait();
    t1.join();
    t2.join();
    c.close();
    receivers.wait();
    for (auto& t : threads) t.join();
    EXPECT_EQ(sum, std::int64_t{4} * kEach * (kEach + 1) / 2);
  }
}

TEST_P(ChanTest, RangeWorksWithAlgorithmsAndStopsAtOnceWhenClosed) {
  urge::run([] {
    urge::chan<int> c(10);
    for (int i = 1; i <= 10; ++i) c.send(i);
    c.close();
    EXPECT_EQ(std::accumulate(c.begin(), c.end(), 0), 55);
    for (const int v : c) ADD_FAILURE() << v;
  });
}

TEST_P(ChanTest, APingPongPairMakesProgressBesideOthers) {
  urge::run([] {
    urge::chan<int> ping, pong;
    std::atomic<bool> stop{false};
    urge::wait_group wg;
    wg.go([&] {
      for (const int v : ping) pong.send(v + 1);
    });
    wg.go([&] {
      while (!stop) urge::yield();
    });
    int v = 0;
    for (int i = 0; i < 20'000; ++i) {
      ping.send(v);
      v = *pong.recv();
    }
    EXPECT_EQ(v, 20'000);
    stop = true;
    ping.close();
    wg.wait();
  });
}

// At one processor a goroutine that isn't preempted between two steps takes them alone.
class ChanOrderTest : public urge::testing::ProcsTest {};
INSTANTIATE_TEST_SUITE_P(At, ChanOrderTest, ::testing::Values(1));

TEST_P(ChanOrderTest, ReceiversAreServedInTheOrderTheyCame) {
  urge::run([] {
    urge::chan<int> c;
    std::vector<int> came, served(50, -1);
    urge::wait_group wg;
    for (int i = 0; i < 50; ++i) {
      wg.go([&, i] {
        urge::no_preempt whole;
        came.push_back(i);
        served[i] = *c.recv();
      });
    }
    Await([&] { return came.size() == 50; });
    for (int i = 0; i < 50; ++i) c.send(i);
    wg.wait();
    for (int i = 0; i < 50; ++i) EXPECT_EQ(served[came[i]], i);
  });
}

TEST_P(ChanOrderTest, SendersAreServedInTheOrderTheyCame) {
  urge::run([] {
    for (const int capacity : {0, 3}) {
      urge::chan<int> c(capacity);
      std::vector<int> came;
      urge::wait_group wg;
      for (int i = 0; i < 50; ++i) {
        wg.go([&, i] {
          urge::no_preempt whole;
          came.push_back(i);
          c.send(i);
        });
      }
      Await([&] { return came.size() == 50; });
      for (int i = 0; i < 50; ++i) EXPECT_EQ(c.recv(), came[i]);
      wg.wait();
    }
  });
}

}  // namespace

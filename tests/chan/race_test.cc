// Races that a window of a few instructions would show, many thousand times over.
//
// Its many thousand goroutines take TSan a millisecond each to start.
// skip: tsan

#include <urge/urge.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "tests/testing/procs.h"

namespace {

using urge::testing::Await;

class ChanRaceTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(ChanRaceTest);

constexpr int kRounds = 20'000;

TEST_P(ChanRaceTest, CloseAgainstSendDeliversOrThrowsButNeverBoth) {
  urge::run([] {
    for (int i = 0; i < kRounds; ++i) {
      urge::chan<int> c(i % 2);
      auto sent = urge::async([c] {
        try {
          c.send(1);
          return true;
        } catch (const urge::closed_channel&) {
          return false;
        }
      });
      auto received = urge::async([c] { return c.recv().has_value(); });
      if (i % 3 == 0) urge::yield();
      c.close();
      const bool was_received = received.get();
      const bool was_sent = sent.get();
      // With a buffer an element may be sent before and received after the close, not lost.
      ASSERT_EQ(was_sent, was_received || c.try_recv().has_value()) << i;
    }
  });
}

TEST_P(ChanRaceTest, ANonBlockingReceiveFindsWhatWasSentBeforeTheClose) {
  // Go: TestNonblockRecvRace.
  urge::run([] {
    for (int i = 0; i < kRounds; ++i) {
      urge::chan<int> c(1);
      c.send(1);
      auto found = urge::async([c] { return c.try_recv().has_value(); });
      c.close();
      static_cast<void>(c.recv());
      const bool got = found.get();
      static_cast<void>(got);
      ASSERT_TRUE(c.drained());
    }
  });
}

TEST_P(ChanRaceTest, DrainedIsFinal) {
  urge::run([] {
    for (int i = 0; i < kRounds; ++i) {
      urge::chan<int> c(4);
      urge::go([c] {
        for (int k = 0; k < 3; ++k) c.send(k);
        c.close();
      });
      int expected = 0;
      while (true) {
        const std::optional<int> v = c.try_recv();
        if (v) {
          ASSERT_EQ(*v, expected++);
        } else if (c.drained()) {
          break;
        } else {
          urge::yield();
        }
      }
      ASSERT_EQ(expected, 3);
    }
  });
}

TEST_P(ChanRaceTest, TheLastHandleMayGoAsSoonAsAnOperationReturns) {
  urge::run([] {
    for (int i = 0; i < kRounds; ++i) {
      auto c = std::make_unique<urge::chan<int>>();
      urge::go([d = *c] { d.send(1); });
      ASSERT_EQ(c->recv(), 1);
      c.reset();
    }
  });
}

TEST_P(ChanRaceTest, TheLastHandleMayGoOnAThreadToo) {
  for (int i = 0; i < kRounds / 10; ++i) {
    auto c = std::make_unique<urge::chan<int>>();
    urge::go([d = *c] { d.send(1); });
    ASSERT_EQ(c->recv(), 1);
    c.reset();
  }
}

TEST_P(ChanRaceTest, RandomOperationsOfManyKeepTheCount) {
  auto random = urge::testing::Random();
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t seed = random();
    urge::run([seed] {
      std::mt19937_64 setup(seed);
      urge::chan<std::uint64_t> c(static_cast<std::ptrdiff_t>(setup() % 5));
      std::atomic<std::uint64_t> sent{0}, received{0};
      urge::wait_group senders, receivers;
      for (int g = 0; g < 6; ++g) {
        senders.go([&, s = setup()] {
          std::mt19937_64 r(s);
          for (int i = 0; i < 500; ++i) {
            const std::uint64_t v = r() >> 8;
            if (r() % 2 == 0) {
              c.send(v);
              sent += v;
            } else if (c.try_send(v)) {
              sent += v;
            }
            if (r() % 16 == 0) urge::yield();
          }
        });
        receivers.go([&, s = setup()] {
          std::mt19937_64 r(s);
          for (;;) {
            std::optional<std::uint64_t> v;
            if (r() % 2 == 0) {
              v = c.recv();
              if (!v) return;
            } else {
              v = c.try_recv();
            }
            if (v) received += *v;
            if (r() % 16 == 0) urge::yield();
          }
        });
      }
      senders.wait();
      c.close();
      receivers.wait();
      EXPECT_EQ(sent, received) << "seed " << seed;
    });
  }
}

TEST_P(ChanRaceTest, PrimesByAChainOfFilters) {
  // Go: test/chan/sieve1.go. A hundred goroutines, each between two channels.
  urge::run([] {
    urge::chan<int> source;
    urge::go([source] {
      try {
        for (int i = 2;; ++i) source.send(i);
      } catch (const urge::closed_channel&) {
      }
    });
    urge::chan<int> c = source;
    std::vector<urge::chan<int>> all{source};
    int prime = 0;
    for (int i = 0; i < 100; ++i) {
      prime = *c.recv();
      urge::chan<int> next;
      urge::go([c, next, prime] {
        try {
          for (const int v : c) {
            if (v % prime != 0) next.send(v);
          }
        } catch (const urge::closed_channel&) {
        }
      });
      all.push_back(next);
      c = next;
    }
    EXPECT_EQ(prime, 541);
    for (const auto& each : all) each.close();
  });
}

}  // namespace

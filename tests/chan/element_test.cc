// Elements of every kind: no constructor of theirs runs more often, elsewhere or later than
// promised, and one that throws leaves the channel as it was.

#include <urge/chan.h>
#include <urge/sync.h>
#include <urge/urge.h>

#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>

#include "tests/testing/procs.h"

namespace {

class ElementTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(ElementTest);

// Counts its living, and throws from the copies and moves it is told to.
struct Tracked {
  static inline std::atomic<int> living{0};
  static inline std::atomic<int> throw_copies{0};
  static inline std::atomic<int> throw_moves{0};

  explicit Tracked(int v) : value(v) { ++living; }
  Tracked(const Tracked& other) : value(other.value) {
    if (throw_copies > 0 && throw_copies-- > 0) throw std::runtime_error("copy");
    ++living;
  }
  Tracked(Tracked&& other) : value(other.value) {
    if (throw_moves > 0 && throw_moves-- > 0) throw std::runtime_error("move");
    other.value = -1;
    ++living;
  }
  Tracked& operator=(const Tracked&) = default;
  ~Tracked() { --living; }

  int value;
};

struct MoveOnlyThrowing {
  explicit MoveOnlyThrowing(int v) : value(v) {}
  MoveOnlyThrowing(MoveOnlyThrowing&& other) noexcept(false)
      : value(std::exchange(other.value, -1)) {}
  MoveOnlyThrowing& operator=(MoveOnlyThrowing&& other) noexcept(false) {
    value = std::exchange(other.value, -1);
    return *this;
  }
  int value;
};

template <std::size_t N>
struct Bytes {
  std::array<unsigned char, N> data;
  bool operator==(const Bytes&) const = default;
};

template <std::size_t N>
void BytesArriveUnchanged() {
  for (const int capacity : {0, 1, 3}) {
    urge::chan<Bytes<N>> c(capacity);
    urge::wait_group wg;
    const auto make = [](unsigned i) {
      Bytes<N> b;
      for (std::size_t k = 0; k < N; ++k) b.data[k] = static_cast<unsigned char>(i * 31 + k);
      return b;
    };
    wg.go([&] {
      for (unsigned i = 0; i < 200; ++i) c.send(make(i));
      c.close();
    });
    unsigned i = 0;
    for (const auto& b : c) ASSERT_EQ(b, make(i++)) << N;
    EXPECT_EQ(i, 200u);
    wg.wait();
  }
}

TEST_P(ElementTest, ElementsOfEverySizeArriveUnchanged) {
  urge::run([] {
    BytesArriveUnchanged<1>();
    BytesArriveUnchanged<2>();
    BytesArriveUnchanged<3>();
    BytesArriveUnchanged<4>();
    BytesArriveUnchanged<7>();
    BytesArriveUnchanged<8>();
    BytesArriveUnchanged<12>();
    BytesArriveUnchanged<16>();
    BytesArriveUnchanged<24>();
    BytesArriveUnchanged<63>();
    BytesArriveUnchanged<128>();
    BytesArriveUnchanged<129>();
    BytesArriveUnchanged<4096>();
  });
}

TEST_P(ElementTest, OverAlignedElementsKeepTheirAlignment) {
  struct alignas(64) Aligned {
    int value;
  };
  struct alignas(256) Boxed {
    int value;
  };
  urge::run([] {
    urge::chan<Aligned> a(2);
    a.send({1});
    const auto v = a.recv();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&*v) % 64, 0u);
    EXPECT_EQ(v->value, 1);
    urge::chan<Boxed> b(2);
    b.send({2});
    EXPECT_EQ(b.recv()->value, 2);
  });
}

TEST_P(ElementTest, MoveOnlyElementsMoveThrough) {
  urge::run([] {
    for (const int capacity : {0, 2}) {
      urge::chan<std::unique_ptr<int>> c(capacity);
      urge::wait_group wg;
      wg.go([&] {
        for (int i = 0; i < 100; ++i) c.send(std::make_unique<int>(i));
        c.close();
      });
      int i = 0;
      for (auto& p : c) EXPECT_EQ(*p, i++);
      EXPECT_EQ(i, 100);
      wg.wait();
    }
  });
}

TEST_P(ElementTest, ElementsWithoutAssignmentOrDefaultConstructor) {
  struct Fixed {
    const int a;
    const std::string b;
  };
  urge::run([] {
    urge::chan<Fixed> c(1);
    c.send({1, "x"});
    const auto v = c.recv();
    EXPECT_EQ(v->a, 1);
    EXPECT_EQ(v->b, "x");
    urge::chan<const int*> p(1);
    p.send(&v->a);
    EXPECT_EQ(**p.recv(), 1);
  });
}

TEST_P(ElementTest, WhatNobodyReceivesIsDestroyedWithTheLastHandle) {
  ASSERT_EQ(Tracked::living, 0);
  {
    urge::chan<Tracked> c(5);
    for (int i = 0; i < 4; ++i) c.send(Tracked(i));
    EXPECT_EQ(Tracked::living, 4);
    const urge::chan<Tracked> d = c;
    c = urge::chan<Tracked>::nil();
    EXPECT_EQ(Tracked::living, 4);
    EXPECT_EQ(d.recv()->value, 0);
  }
  EXPECT_EQ(Tracked::living, 0);
}

TEST_P(ElementTest, AThrowingCopySendsNothing) {
  urge::run([] {
    urge::chan<Tracked> c(1);
    const Tracked v(1);
    Tracked::throw_copies = 1;
    EXPECT_THROW(c.send(v), std::runtime_error);
    EXPECT_EQ(c.size(), 0u);
    Tracked::throw_copies = 1;
    EXPECT_THROW(static_cast<void>(c.try_send(v)), std::runtime_error);
    EXPECT_EQ(c.size(), 0u);
    c.send(v);
    EXPECT_EQ(c.recv()->value, 1);
  });
  EXPECT_EQ(Tracked::living, 0);
}

TEST_P(ElementTest, AThrowingMoveOfTheReceiverLosesOneElementAndNothingElse) {
  urge::run([] {
    urge::chan<Tracked> c(3);
    for (int i = 0; i < 3; ++i) c.send(Tracked(i));
    Tracked::throw_moves = 1;
    EXPECT_THROW(static_cast<void>(c.recv()), std::runtime_error);
    EXPECT_EQ(c.size(), 2u);
    EXPECT_EQ(c.recv()->value, 1);
    EXPECT_EQ(c.recv()->value, 2);
    // A sender that waits is released by a receiver that fails.
    urge::chan<Tracked> d;
    auto sent = urge::async([&] { d.send(Tracked(9)); });
    urge::testing::Await([&] {
      try {
        Tracked::throw_moves = 0;
        return d.try_recv().has_value();
      } catch (const std::runtime_error&) {
        return true;
      }
    });
    sent.get();
  });
  EXPECT_EQ(Tracked::living, 0);
}

TEST_P(ElementTest, AFailedTrySendLeavesTheValue) {
  urge::run([] {
    urge::chan<std::unique_ptr<int>> c(1);
    auto p = std::make_unique<int>(1);
    EXPECT_TRUE(c.try_send(std::move(p)));
    EXPECT_EQ(p, nullptr);
    p = std::make_unique<int>(2);
    EXPECT_FALSE(c.try_send(std::move(p)));
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(*p, 2);
    urge::chan<MoveOnlyThrowing> m;
    MoveOnlyThrowing v(3);
    EXPECT_FALSE(m.try_send(std::move(v)));
    EXPECT_EQ(v.value, 3);
    urge::chan<std::string> s;
    std::string text(100, 'x');
    EXPECT_FALSE(s.try_send(std::move(text)));
    EXPECT_EQ(text.size(), 100u);
  });
}

TEST_P(ElementTest, AFailedTrySendLeavesTheValueWhenItLosesARace) {
  urge::run([] {
    urge::chan<std::unique_ptr<int>> c(1);
    constexpr int kRounds = 10'000, kSenders = 4;
    std::atomic<int> accepted{0}, received{0};
    std::atomic<bool> stop{false};
    urge::wait_group wg, drain;
    drain.go([&] {
      while (!stop || c.size() != 0) {
        if (c.try_recv()) ++received;
        urge::yield();
      }
    });
    for (int s = 0; s < kSenders; ++s) {
      wg.go([&] {
        for (int i = 0; i < kRounds; ++i) {
          auto p = std::make_unique<int>(i);
          if (c.try_send(std::move(p))) {
            ++accepted;
          } else {
            ASSERT_NE(p, nullptr);
            ASSERT_EQ(*p, i);
          }
          if (i % 8 == 0) urge::yield();
        }
      });
    }
    wg.wait();
    stop = true;
    drain.wait();
    EXPECT_EQ(accepted, received);
  });
}

}  // namespace

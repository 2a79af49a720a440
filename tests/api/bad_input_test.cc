// Bad input that a caller can react to: each kind gets an exception that names what is wrong and
// what is allowed, and nothing is lost.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <urge/urge.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>

#include "tests/testing/procs.h"

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using urge::testing::Await;

template <class Error, class F>
std::string MessageOf(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(BadInputTest, ANullFunctionIsRefusedByName) {
  void (*pointer)() = nullptr;
  const std::function<void()> function;
  using Invalid = std::invalid_argument;
  EXPECT_THAT(MessageOf<Invalid>([&] { urge::go(pointer); }), HasSubstr("urge::go"));
  EXPECT_THAT(MessageOf<Invalid>([&] { urge::go(function); }), HasSubstr("urge::go"));
  EXPECT_THAT(MessageOf<Invalid>([&] { urge::go({.name = "x"}, function); }),
              HasSubstr("urge::go"));
  EXPECT_THAT(MessageOf<Invalid>([&] { static_cast<void>(urge::async(function)); }),
              HasSubstr("urge::async"));
  EXPECT_THAT(MessageOf<Invalid>([&] { urge::run(function); }), HasSubstr("null function"));
  EXPECT_THAT(MessageOf<Invalid>([&] { urge::blocking(function); }), HasSubstr("urge::blocking"));
  urge::wait_group group;
  EXPECT_THAT(MessageOf<Invalid>([&] { group.go(function); }), HasSubstr("wait_group::go"));
  group.wait();
  EXPECT_EQ(urge::goroutines(), 0u);
}

TEST(BadInputTest, AStackSizeOutOfRangeIsRefusedWithTheRange) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{32767}, (std::size_t{1} << 30) + 1,
                                  static_cast<std::size_t>(-1)}) {
    EXPECT_THAT(MessageOf<std::invalid_argument>([&] { urge::go({.stack_size = bytes}, [] {}); }),
                AllOf(HasSubstr("stack_size"), HasSubstr(std::to_string(bytes)), HasSubstr("32768"),
                      HasSubstr("1073741824")));
  }
  EXPECT_EQ(urge::goroutines(), 0u);
}

TEST(BadInputTest, StackSizesAtTheBoundsWork) {
  for (const std::size_t bytes : {std::size_t{32768}, std::size_t{40000}, std::size_t{1} << 30}) {
    std::atomic<bool> ran{false};
    urge::go({.stack_size = bytes}, [&] { ran = true; });
    Await([&] { return ran.load(); });
  }
}

TEST(BadInputTest, ProcsOutOfRangeAreRefusedAndNothingChanges) {
  const int before = urge::procs();
  for (const int n : {0, -1, 100000, INT_MIN}) {
    EXPECT_THAT(MessageOf<std::invalid_argument>([&] { urge::set_procs(n); }),
                AllOf(HasSubstr("set_procs(" + std::to_string(n) + ")"), HasSubstr("1 to 1024")));
  }
  EXPECT_EQ(urge::procs(), before);
}

TEST(BadInputTest, StartingTwiceIsRefused) {
  urge::run([] {});
  EXPECT_THAT(MessageOf<std::logic_error>([] { urge::start(); }), HasSubstr("already running"));
  EXPECT_THAT(MessageOf<std::logic_error>([] { urge::run(urge::options{}, [] {}); }),
              HasSubstr("already running"));
}

// A copy that throws: nobody hears of the goroutine.
struct ThrowsWhenCopied {
  static inline int alive = 0;
  ThrowsWhenCopied() { ++alive; }
  ThrowsWhenCopied(const ThrowsWhenCopied&) { throw std::runtime_error("copy"); }
  ~ThrowsWhenCopied() { --alive; }
  void operator()() const {}
};

TEST(BadInputTest, ACallableWhoseCopyThrowsLeavesNothingBehind) {
  {
    const ThrowsWhenCopied callable;
    for (int i = 0; i < 200; ++i) {
      EXPECT_THROW(urge::go(callable), std::runtime_error);
      EXPECT_THROW(urge::go({.stack_size = 65536, .labels = {{"a", "b"}}}, callable),
                   std::runtime_error);
      EXPECT_THROW(urge::go([](const ThrowsWhenCopied&) {}, callable), std::runtime_error);
      EXPECT_THROW(static_cast<void>(urge::async(callable)), std::runtime_error);
    }
  }
  EXPECT_EQ(ThrowsWhenCopied::alive, 0);
  EXPECT_EQ(urge::goroutines(), 0u);
  // Goroutines that were given back carry nothing of what they were meant for.
  urge::run([] { EXPECT_TRUE(urge::labels().empty()); });
}

// The move onto the goroutine's stack, the last step, throws.
struct ThrowsWhenMovedTwice {
  int moves = 0;
  ThrowsWhenMovedTwice() = default;
  ThrowsWhenMovedTwice(ThrowsWhenMovedTwice&& other) : moves(other.moves + 1) {
    if (moves == 2) throw std::runtime_error("move");
  }
  void operator()() const {}
};

TEST(BadInputTest, ACallableWhoseMoveThrowsLeavesNothingBehind) {
  for (int i = 0; i < 200; ++i) {
    EXPECT_THROW(urge::go(ThrowsWhenMovedTwice()), std::runtime_error);
    EXPECT_THROW(urge::go({.stack_size = 65536}, ThrowsWhenMovedTwice()), std::runtime_error);
  }
  EXPECT_EQ(urge::goroutines(), 0u);
}

}  // namespace

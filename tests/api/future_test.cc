// What async and future promise.

#include <urge/urge.h>

#include <atomic>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/testing/procs.h"

namespace {

using namespace std::chrono_literals;

class FutureTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(FutureTest);

static_assert(!std::is_copy_constructible_v<urge::future<int>>);
static_assert(std::is_nothrow_move_constructible_v<urge::future<int>>);

TEST_P(FutureTest, GetReturnsWhatTheFunctionReturns) {
  const auto check = [] {
    EXPECT_EQ(urge::async([] { return 42; }).get(), 42);
    EXPECT_EQ(urge::async([](int a, std::string b) { return b + std::to_string(a); }, 1, "x").get(),
              "x1");
    urge::async([] {}).get();
    EXPECT_EQ(*urge::async([] { return std::make_unique<int>(3); }).get(), 3);
    struct S {
      int Twice(int v) const { return 2 * v; }
      int field = 9;
    } s;
    EXPECT_EQ(urge::async(&S::Twice, &s, 4).get(), 8);
    EXPECT_EQ(urge::async(&S::field, s).get(), 9);
  };
  check();
  urge::run(check);
}

TEST_P(FutureTest, AReferenceIsTheSameObject) {
  int x = 1;
  auto f = urge::async([&]() -> int& { return x; });
  static_assert(std::is_same_v<decltype(f.get()), int&>);
  EXPECT_EQ(&f.get(), &x);
  EXPECT_EQ(&urge::async([](int& r) -> int& { return r; }, std::ref(x)).get(), &x);
}

TEST_P(FutureTest, GetRethrowsAndOwnsTheException) {
  const auto check = [] {
    auto f = urge::async([]() -> int { throw std::runtime_error("inside"); });
    try {
      f.get();
      FAIL();
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "inside");
    }
    EXPECT_FALSE(f.valid());
    EXPECT_THROW(urge::async([] { throw 1; }).get(), int);
  };
  check();
  urge::run(check);
}

TEST_P(FutureTest, AnExceptionCanBeCarriedFurther) {
  urge::run([] {
    std::exception_ptr kept;
    try {
      urge::async([] { throw std::string("text"); }).get();
    } catch (...) {
      kept = std::current_exception();
    }
    for (int i = 0; i < 10; ++i) urge::yield();
    EXPECT_THROW(std::rethrow_exception(kept), std::string);
  });
}

TEST_P(FutureTest, NestedAsyncRethrowsThroughEveryLevel) {
  const std::function<int(int)> nest = [&](int depth) -> int {
    if (depth == 0) throw std::out_of_range("bottom");
    return urge::async(nest, depth - 1).get();
  };
  EXPECT_THROW(urge::run([&] { return nest(20); }), std::out_of_range);
}

TEST_P(FutureTest, AnInvalidFutureThrows) {
  urge::future<int> f;
  EXPECT_FALSE(f.valid());
  const auto expect_no_state = [](auto&& call) {
    try {
      call();
      ADD_FAILURE();
    } catch (const std::future_error& e) {
      EXPECT_EQ(e.code(), std::future_errc::no_state);
    }
  };
  expect_no_state([&] { f.get(); });
  expect_no_state([&] { f.wait(); });
  expect_no_state([&] { static_cast<void>(f.wait_for(0s)); });
  f = urge::async([] { return 1; });
  EXPECT_TRUE(f.valid());
  EXPECT_EQ(f.get(), 1);
  expect_no_state([&] { f.get(); });
}

TEST_P(FutureTest, WaitForTellsWhetherItIsReady) {
  const auto check = [] {
    urge::chan<int> go_on;
    auto f = urge::async([&] { return *go_on.recv(); });
    EXPECT_EQ(f.wait_for(0s), std::future_status::timeout);
    EXPECT_EQ(f.wait_for(-1h), std::future_status::timeout);
    EXPECT_EQ(f.wait_for(1ms), std::future_status::timeout);
    EXPECT_EQ(f.wait_until(std::chrono::system_clock::now() + 1ms), std::future_status::timeout);
    go_on.send(5);
    EXPECT_EQ(f.wait_for(std::chrono::hours::max()), std::future_status::ready);
    EXPECT_EQ(f.wait_for(0s), std::future_status::ready);
    EXPECT_EQ(f.wait_until(std::chrono::steady_clock::time_point::max()),
              std::future_status::ready);
    EXPECT_EQ(f.get(), 5);
  };
  check();
  urge::run(check);
}

TEST_P(FutureTest, ADroppedFutureDoesNotWaitAndLeaksNothing) {
  auto token = std::make_shared<int>(1);
  urge::chan<int> go_on;
  {
    auto f = urge::async([token, go_on] { return static_cast<void>(go_on.recv()), token; });
  }
  EXPECT_EQ(token.use_count(), 2);
  go_on.send(1);
  urge::testing::Await([&] { return token.use_count() == 1; });
}

TEST_P(FutureTest, TheClosureIsGoneWhenTheResultIsThere) {
  auto token = std::make_shared<int>(1);
  for (int i = 0; i < 200; ++i) {
    urge::async([token] { return 1; }).get();
    ASSERT_EQ(token.use_count(), 1);
    try {
      urge::async([token] { throw 1; }).get();
    } catch (int) {
    }
    ASSERT_EQ(token.use_count(), 1);
  }
}

TEST_P(FutureTest, ANullFunctionIsRefused) {
  try {
    static_cast<void>(urge::async(static_cast<int (*)()>(nullptr)));
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "urge::async: null function");
  }
  EXPECT_THROW(static_cast<void>(urge::async(std::function<void()>())), std::invalid_argument);
}

TEST_P(FutureTest, AThreadAndManyGoroutinesGetTheirOwn) {
  for (int round = 0; round < 100; ++round) {
    std::vector<urge::future<int>> all;
    for (int i = 0; i < 50; ++i) all.push_back(urge::async([i] { return i * i; }));
    for (int i = 0; i < 50; ++i) ASSERT_EQ(all[i].get(), i * i);
  }
}

TEST_P(FutureTest, RunYieldsValuesReferencesAndExceptions) {
  EXPECT_EQ(urge::run([] { return std::string("v"); }), "v");
  int x = 0;
  EXPECT_EQ(&urge::run([&]() -> int& { return x; }), &x);
  EXPECT_THROW(urge::run([] { throw std::bad_cast(); }), std::bad_cast);
  EXPECT_EQ(urge::run([] { return urge::run([] { return 7; }); }), 7);
}

}  // namespace

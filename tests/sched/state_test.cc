// What C++ keeps per thread and must follow the goroutine: exceptions in flight, errno, and the
// control words of the floating-point units.

#include <gtest/gtest.h>

#include <urge/urge.h>

#include <cerrno>
#include <cfenv>
#include <chrono>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/testing/procs.h"

namespace {

using namespace std::chrono_literals;

class StateTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(StateTest);

constexpr int kGoroutines = 8;

// Runs f(i) on several goroutines at once.
template <class F>
void Together(F f) {
  urge::run([&] {
    urge::wait_group group;
    for (int i = 0; i < kGoroutines; ++i) group.go([&f, i] { f(i); });
    group.wait();
  });
}

// A while of call-free work that preemption interrupts.
[[gnu::noinline]] void Work(int n) {
  for (int i = 0; i < n; ++i) asm volatile("");
}

TEST_P(StateTest, ARethrowAfterAYieldRethrowsItsOwnException) {
  Together([](int id) {
    for (int i = 0; i < 300; ++i) {
      try {
        try {
          throw id * 1000 + i;
        } catch (int) {
          urge::yield();
          throw;
        }
      } catch (int caught) {
        ASSERT_EQ(caught, id * 1000 + i);
      }
    }
  });
}

TEST_P(StateTest, NestedHandlersSurviveSwitches) {
  Together([](int id) {
    for (int i = 0; i < 200; ++i) {
      try {
        throw std::runtime_error(std::to_string(id));
      } catch (const std::exception& outer) {
        urge::yield();
        try {
          throw id;
        } catch (int inner) {
          if (i % 10 == 0) {
            urge::sleep_for(10us);
          } else {
            urge::yield();
          }
          ASSERT_EQ(inner, id);
        }
        ASSERT_EQ(outer.what(), std::to_string(id));
        const std::exception_ptr current = std::current_exception();
        urge::yield();
        ASSERT_TRUE(current == std::current_exception());
      }
      ASSERT_EQ(std::current_exception(), nullptr);
    }
  });
}

TEST_P(StateTest, UncaughtExceptionsAreCountedPerGoroutine) {
  struct YieldsWhenDestroyed {
    int expected;
    ~YieldsWhenDestroyed() {
      EXPECT_EQ(std::uncaught_exceptions(), expected);
      urge::yield();
      EXPECT_EQ(std::uncaught_exceptions(), expected);
    }
  };
  Together([](int id) {
    for (int i = 0; i < 200; ++i) {
      if (id % 2 == 0) {
        const YieldsWhenDestroyed calm{0};
        continue;
      }
      try {
        const YieldsWhenDestroyed unwinding{1};
        throw i;
      } catch (int caught) {
        ASSERT_EQ(caught, i);
      }
      ASSERT_EQ(std::uncaught_exceptions(), 0);
    }
  });
}

// Not inlined and not pure, so that errno's address is asked for each time.
[[gnu::noinline]] int GetErrno() {
  asm volatile("");
  return errno;
}
[[gnu::noinline]] void SetErrno(int value) {
  asm volatile("");
  errno = value;
}

TEST_P(StateTest, ErrnoIsEachGoroutinesOwn) {
  Together([](int id) {
    ASSERT_EQ(GetErrno(), 0) << "a goroutine begins with none";
    for (int i = 0; i < 500; ++i) {
      SetErrno(id * 1000 + i);
      urge::yield();
      ASSERT_EQ(GetErrno(), id * 1000 + i);
      if (i % 50 == 0) {
        urge::sleep_for(20us);
        ASSERT_EQ(GetErrno(), id * 1000 + i);
      }
    }
  });
}

unsigned Mxcsr() { return __builtin_ia32_stmxcsr(); }
unsigned X87Control() {
  unsigned short word;
  asm volatile("fnstcw %0" : "=m"(word));
  return word;
}

TEST_P(StateTest, RoundingModesAreEachGoroutinesOwn) {
  constexpr int kModes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  Together([&](int id) {
    const int mode = kModes[id % 4];
    std::fesetround(mode);
    const unsigned mxcsr = Mxcsr() & ~0x3fu, x87 = X87Control();
    for (int i = 0; i < 300; ++i) {
      urge::yield();
      Work(1000);
      ASSERT_EQ(std::fegetround(), mode);
      ASSERT_EQ(Mxcsr() & ~0x3fu, mxcsr);
      ASSERT_EQ(X87Control(), x87);
    }
    // What it has is what its children begin with.
    urge::async([mode] { ASSERT_EQ(std::fegetround(), mode); }).get();
  });
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

}  // namespace

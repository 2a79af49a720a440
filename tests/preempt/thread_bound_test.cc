// Code that is bound to its thread is recognised, and a goroutine that is preempted in it goes on
// on its thread, where nobody else has run meanwhile.
//
// Under ThreadSanitizer signals preempt nobody, and the hogs here call nothing.
// skip: tsan

#include "runtime/preempt/thread_bound.h"

#include <gtest/gtest.h>

#include <urge/urge.h>

#include <ctype.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/preempt/map.h"
#include "runtime/sched/park.h"
#include "runtime/sched/sched.h"
#include "tests/preempt/thread_bound_test_wrapped.h"
#include "tests/testing/procs.h"

// In thread_bound_test_code.S.
extern "C" {
void code_thread_pointer();
void code_adds_thread_pointer();
void code_self_pointer();
void code_accumulator();
void code_narrow_load();
void code_increments();
void code_offset_in_register();
void code_canary_offset_by_register();
void code_rdfsbase();
void code_system_call();
void code_undecodable();
void code_calls_plt();
void code_calls_errno_plt();
void code_calls_got();
void code_keeps_got();
void code_calls_materialiser();
void code_calls_errno_user();
void code_calls_getter_of_word();
void code_calls_tail_caller();
void code_calls_got_tail_caller();
void code_hot();
void code_hot_binding();
void code_leaf();
void code_canary();
void code_guard();
void code_calls_harmless_plt();
void code_calls_getter_of_value();
void code_calls_caller();
void code_tail_calls_materialiser();
void code_tail_calls_errno();
void code_even();
void code_calls_circle();
void code_calls_harmless_tail_caller();
void code_calls_runtime();
void code_hot_harmless();
void code_cold_of_hot() __asm__("code_hot.cold");
void code_cold_of_binding() __asm__("code_binding.cold");
void code_cold_of_harmless() __asm__("code_harmless.cold");
void code_lost_cold() __asm__("code_lost.cold");
}

namespace {

using namespace std::chrono_literals;
using urge::preempt::BoundsOf;
using urge::preempt::FunctionBounds;
using urge::preempt::IsThreadBound;
using urge::preempt::PreemptionMap;

// --- The verdict on one function ---

template <class F>
bool IsBound(F* function) {
  FunctionBounds bounds;
  EXPECT_TRUE(BoundsOf(reinterpret_cast<std::uintptr_t>(function), &bounds));
  // Twice: what is remembered is what was found.
  const bool bound = IsThreadBound(bounds);
  EXPECT_EQ(IsThreadBound(bounds), bound);
  return bound;
}

class CodeTest : public ::testing::Test {
 protected:
  void SetUp() override { PreemptionMap::Rebuild(); }
};

struct Code {
  const char* name;
  void (*function)();
};
constexpr Code kBoundCode[] = {
    {"thread_pointer", code_thread_pointer},
    {"adds_thread_pointer", code_adds_thread_pointer},
    {"self_pointer", code_self_pointer},
    {"accumulator", code_accumulator},
    {"narrow_load", code_narrow_load},
    {"increments", code_increments},
    {"offset_in_register", code_offset_in_register},
    {"canary_offset_by_register", code_canary_offset_by_register},
    {"rdfsbase", code_rdfsbase},
    {"system_call", code_system_call},
    {"undecodable", code_undecodable},
    {"calls_plt", code_calls_plt},
    {"calls_errno_plt", code_calls_errno_plt},
    {"calls_got", code_calls_got},
    {"keeps_got", code_keeps_got},
    {"calls_materialiser", code_calls_materialiser},
    {"calls_errno_user", code_calls_errno_user},
    {"calls_getter_of_word", code_calls_getter_of_word},
    {"calls_tail_caller", code_calls_tail_caller},
    {"calls_got_tail_caller", code_calls_got_tail_caller},
    {"hot", code_hot},
    {"hot_binding", code_hot_binding},
};
constexpr Code kFreeCode[] = {
    {"leaf", code_leaf},
    {"canary", code_canary},
    {"guard", code_guard},
    {"calls_harmless_plt", code_calls_harmless_plt},
    {"calls_getter_of_value", code_calls_getter_of_value},
    {"calls_caller", code_calls_caller},
    {"tail_calls_materialiser", code_tail_calls_materialiser},
    {"tail_calls_errno", code_tail_calls_errno},
    {"even", code_even},
    {"calls_circle", code_calls_circle},
    {"calls_harmless_tail_caller", code_calls_harmless_tail_caller},
    {"calls_runtime", code_calls_runtime},
    {"hot_harmless", code_hot_harmless},
};

TEST_F(CodeTest, WhatTouchesItsThreadIsBound) {
  for (const Code& code : kBoundCode) EXPECT_TRUE(IsBound(code.function)) << code.name;
}

TEST_F(CodeTest, WhatDoesNotIsFree) {
  for (const Code& code : kFreeCode) EXPECT_FALSE(IsBound(code.function)) << code.name;
}

TEST_F(CodeTest, PartsOfAFunctionAreJudgedAsOne) {
  EXPECT_TRUE(IsBound(code_cold_of_hot));
  EXPECT_TRUE(IsBound(code_cold_of_binding)) << "its function touches the thread in the other part";
  EXPECT_TRUE(IsBound(code_lost_cold)) << "its other part can't be found";
  EXPECT_FALSE(IsBound(code_cold_of_harmless));
}

[[gnu::noinline]] unsigned long UseWrapped() {
  wrapped::Pair& pair = wrapped::pair;
  return pair.first++ - pair.second++;
}
[[gnu::noinline]] unsigned long CallAWrappersUser() {
  const unsigned long result = UseWrapped();
  asm volatile("");
  return result;
}
[[gnu::noinline]] bool UseCallOnce(std::once_flag& flag) {
  bool called = false;
  std::call_once(flag, [&] { called = true; });
  return called;
}
[[gnu::noinline]] int UseErrno() {
  errno = 0;
  getppid();
  return errno;
}
[[gnu::noinline]] bool UseCtype(int c) { return ((*__ctype_b_loc())[c] & _ISalpha) != 0; }
[[gnu::noinline]] std::size_t UseNothing(const std::string& text) { return text.size() * 3; }
[[gnu::noinline]] std::size_t UseMemoryAndStreams(std::size_t n) {
  std::map<std::size_t, std::string> map;
  for (std::size_t i = 0; i < n; ++i) map[i] = std::to_string(i);
  return map.size();
}
[[gnu::noinline]] int UseExceptions(int x) {
  try {
    if (x > 0) throw x;
  } catch (int caught) {
    return caught;
  }
  return 0;
}

TEST_F(CodeTest, CompilersCodeIsJudgedRight) {
  EXPECT_TRUE(IsBound(UseWrapped));
  EXPECT_TRUE(IsBound(UseCallOnce));
  EXPECT_TRUE(IsBound(UseErrno));
  EXPECT_TRUE(IsBound(UseCtype));
  EXPECT_FALSE(IsBound(UseNothing));
  EXPECT_FALSE(IsBound(UseMemoryAndStreams));
  EXPECT_FALSE(IsBound(UseExceptions));
  EXPECT_EQ(CallAWrappersUser(), 0u);
}

TEST_F(CodeTest, WhatWiredIsPrintedByFunction) {
  const auto address = [](void (*function)()) {
    return reinterpret_cast<std::uintptr_t>(function);
  };
  for (int i = 0; i < 3; ++i) urge::preempt::CountThreadBound(address(code_thread_pointer));
  urge::preempt::CountThreadBound(address(code_calls_errno_plt));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  urge::preempt::PrintThreadBound(ends[1]);
  close(ends[1]);
  std::string text(1 << 16, 0);
  text.resize(static_cast<std::size_t>(read(ends[0], text.data(), text.size())));
  close(ends[0]);
  EXPECT_NE(text.find("urge: threadbound: 3 x main program: code_thread_pointer, touches"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("1 x main program: code_calls_errno_plt, calls "), std::string::npos) << text;
  EXPECT_NE(text.find("__errno_location"), std::string::npos) << text;
}

TEST_F(CodeTest, VerdictsAreForgottenWhenTheCodeMayHaveChanged) {
  for (int i = 0; i < 20'000; ++i) {  // the generation's low bits come round
    urge::preempt::InvalidateCfiCache();
    if (i % 1000 != 0) continue;
    ASSERT_TRUE(IsBound(code_thread_pointer));
    ASSERT_FALSE(IsBound(code_leaf));
  }
}

// --- Goroutines ---

thread_local int g_plain = 0;

struct Singleton {
  std::uint64_t owner = 0, copy = 0;
};
// The empty asm statements keep compilers from knowing that each call returns the same.
[[gnu::noinline]] Singleton& Instance() {
  thread_local Singleton instance;
  Singleton* result = &instance;
  asm volatile("" : "+r"(result));
  return *result;
}

// Whatever memory holds may be different afterwards, for all the compiler knows.
void Spin(int rounds) {
  for (int i = 0; i < rounds; ++i) asm volatile("" ::: "memory");
}

// The address of something thread-local as of now, which no compiler can keep.
[[gnu::noinline]] int* AddressOfErrno() {
  int* result = &errno;
  asm volatile("" : "+r"(result));
  return result;
}

[[gnu::noinline]] void FreeHog(std::atomic<std::uint64_t>& rounds, const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) rounds.fetch_add(1, std::memory_order_relaxed);
}

class ThreadBoundTest : public urge::testing::ProcsTest {
 protected:
  static constexpr int kGoroutines = 12;  // more than processors

  void SetUp() override {
    ProcsTest::SetUp();
    settings().slice_ns = 50'000;
  }
  void TearDown() override {
    urge::testing::Await([] { return urge::goroutines() == 0; });
    settings().slice_ns = 10'000'000;
    EXPECT_EQ(urge::sched::g_sched.wired_by_frame, 0);
  }
  static urge::sched::Settings& settings() { return urge::sched::g_sched.settings; }

  // Calls body(number) again and again in many goroutines at once, until so many preemptions have
  // wired one.
  template <class Body>
  static void Storm(Body body, std::uint64_t wired = 200) {
    const std::uint64_t before = urge::read_metrics().wired_by_frame;
    std::atomic<bool> stop{false};
    urge::wait_group group;
    for (int i = 1; i <= kGoroutines; ++i) {
      group.go([&, i] {
        while (!stop.load(std::memory_order_relaxed)) body(i);
      });
    }
    while (urge::read_metrics().wired_by_frame < before + wired) {
      std::this_thread::sleep_for(1ms);
    }
    stop = true;
    group.wait();
  }
};
URGE_TEST_AT_PROCS(ThreadBoundTest);

TEST_P(ThreadBoundTest, ASingletonReachedThroughAFunctionIsNeverTorn) {
  std::atomic<int> torn{0};
  Storm([&](int i) {
    Singleton& mine = Instance();
    mine.owner = static_cast<std::uint64_t>(i);
    Spin(500);
    mine.copy = mine.owner;
    Spin(500);
    if (mine.copy != static_cast<std::uint64_t>(i) || &mine != &Instance()) ++torn;
  });
  EXPECT_EQ(torn, 0);
}

TEST_P(ThreadBoundTest, AnAddressCachedOverALoopStaysRight) {
  std::atomic<int> torn{0};
  Storm([&](int i) {
    int* mine = &g_plain;
    asm volatile("" : "+r"(mine));  // the compiler keeps it
    for (int round = 0; round < 20; ++round) {
      *mine = i;
      Spin(200);
      if (*mine != i) ++torn;
    }
    if (mine != &g_plain) ++torn;
  });
  EXPECT_EQ(torn, 0);
}

TEST_P(ThreadBoundTest, AWrappedThreadLocalIsNeverTorn) {
  std::atomic<int> torn{0};
  Storm([&](int) {
    wrapped::Pair& pair = wrapped::pair;
    ++pair.first;
    Spin(300);
    ++pair.second;
    if (pair.first != pair.second) ++torn;
  });
  EXPECT_EQ(torn, 0);
}

TEST_P(ThreadBoundTest, ErrnosAddressStaysRightOverABlockingCall) {
  std::atomic<int> wrong{0};
  // While most of them block, somebody else must wait for a processor.
  std::atomic<bool> stop_hogs{false};
  std::atomic<std::uint64_t> rounds{0};
  urge::wait_group hogs;
  for (int i = 0; i < GetParam(); ++i) hogs.go([&] { FreeHog(rounds, stop_hogs); });
  Storm(
      [&](int i) {
        int* mine = &errno;
        asm volatile("" : "+r"(mine));
        *mine = i;
        Spin(500'000);
        urge::blocking([] { usleep(10); });
        if (mine != AddressOfErrno()) ++wrong;
        *mine = 1000 + i;
        Spin(500'000);
        if (mine != AddressOfErrno() || *AddressOfErrno() != 1000 + i) ++wrong;
      },
      10);
  stop_hogs = true;
  hogs.wait();
  EXPECT_EQ(wrong, 0);
}

TEST_P(ThreadBoundTest, CallOnceCallsOnce) {
  constexpr std::size_t kFlags = 20'000;
  const auto flags = std::make_unique<std::once_flag[]>(kFlags);
  std::vector<std::atomic<int>> calls(kFlags);
  std::vector<std::atomic<std::size_t>> at(kGoroutines + 1);
  Storm(
      [&](int i) {
        // Each goroutine at its own pace, all over the same flags, and its own argument.
        std::atomic<std::size_t>& mine = at[static_cast<std::size_t>(i)];
        const std::size_t flag = mine.fetch_add(1) % kFlags;
        int argument = i;
        for (int round = 0; round < 50; ++round) {
          std::call_once(
              flags[flag],
              [&](int* passed) {
                EXPECT_EQ(*passed, i);
                calls[flag].fetch_add(1);
                Spin(50);
              },
              &argument);
        }
      },
      50);
  for (const auto& count : calls) EXPECT_LE(count, 1);
}

TEST_P(ThreadBoundTest, GoroutinesInsideOneContainerDoNotMeet) {
  std::atomic<int> torn{0};
  Storm([&](int i) {
    thread_local std::vector<int> numbers;
    numbers.assign(50, i);
    for (int round = 0; round < 50; ++round) numbers.push_back(i);
    for (const int number : numbers) torn += number != i;
    numbers.clear();
  });
  Storm([&](int i) {
    thread_local std::map<int, int> map;
    for (int key = 0; key < 20; ++key) map[key] = i;
    for (const auto& [key, value] : map) torn += value != i;
    map.clear();
  });
  EXPECT_EQ(torn, 0);
}

TEST_P(ThreadBoundTest, TheThreadsIdentityStaysRight) {
  std::atomic<int> wrong{0};
  Storm([&](int) {
    const pthread_t self = pthread_self();
    const pid_t tid = gettid();
    const std::thread::id id = std::this_thread::get_id();
    Spin(1000);
    if (self != pthread_self() || tid != gettid() || id != std::this_thread::get_id()) ++wrong;
  });
  EXPECT_EQ(wrong, 0);
}

TEST_P(ThreadBoundTest, AGoroutineIsFreeAgainOnceItStopsByItself) {
  std::atomic<int> wired{0}, still{0};
  Storm([&](int i) {
    g_plain = i;
    Spin(2000);
    const urge::no_preempt hold;
    const urge::sched::G* self = urge::sched::CurrentG();
    if ((self->wired_reasons & urge::sched::kWiredByFrame) == 0) return;
    ++wired;
    urge::yield();
    still += (self->wired_reasons & urge::sched::kWiredByFrame) != 0;
  });
  EXPECT_GT(wired, 0);
  EXPECT_EQ(still, 0);
}

[[gnu::noinline]] void BoundHog(std::atomic<std::uint64_t>& rounds, const std::atomic<bool>& stop) {
  int* mine = &g_plain;
  asm volatile("" : "+r"(mine));
  while (!stop.load(std::memory_order_relaxed)) {
    *mine += 1;
    rounds.fetch_add(1, std::memory_order_relaxed);
  }
}

TEST_P(ThreadBoundTest, WiredHogsAndFreeOnesAllAdvance) {
  std::vector<std::atomic<std::uint64_t>> rounds(kGoroutines);
  std::atomic<bool> stop{false};
  urge::wait_group group;
  for (std::size_t i = 0; i < kGoroutines; ++i) {
    group.go([&, i] { (i % 2 == 0 ? BoundHog : FreeHog)(rounds[i], stop); });
  }
  for (int turn = 0; turn < 20; ++turn) {
    std::vector<std::uint64_t> seen;
    for (auto& r : rounds) seen.push_back(r.load());
    for (std::size_t i = 0; i < kGoroutines; ++i) {
      urge::testing::Await([&] { return rounds[i].load() > seen[i]; });
    }
  }
  // No processor idles while so many wait.
  EXPECT_EQ(urge::sched::g_sched.idle_ps.load(), 0);
  stop = true;
  group.wait();
}

TEST_P(ThreadBoundTest, WithTooManyThreadsAGoroutineGoesOnInstead) {
  urge::sched::g_sched.wired_by_frame += urge::base::kMaxWiredByFrame;
  std::vector<std::atomic<std::uint64_t>> rounds(kGoroutines);
  std::atomic<bool> stop{false};
  urge::wait_group group;
  const urge::metrics before = urge::read_metrics();
  for (auto& r : rounds) group.go([&] { BoundHog(r, stop); });
  const auto deferred = [&] {
    return urge::read_metrics().deferred_threads - before.deferred_threads;
  };
  while (deferred() < 20) std::this_thread::sleep_for(1ms);
  stop = true;
  group.wait();
  EXPECT_EQ(urge::read_metrics().wired_by_frame, before.wired_by_frame);
  urge::sched::g_sched.wired_by_frame -= urge::base::kMaxWiredByFrame;
}

}  // namespace

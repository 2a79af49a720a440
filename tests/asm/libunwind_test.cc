// libunwind_test.cc: libunwind, too, walks through an injected call to main and stops at a
// context's bottom. It is stricter than libgcc, whose walks the single-step proof does.
// alone: asm/x86_64/switch.S asm/x86_64/entry.S asm/x86_64/async_preempt.S
// alone: runtime/preempt/xstate.cc

#define UNW_LOCAL_ONLY
#include <gtest/gtest.h>
#include <libunwind.h>
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "asm/switch.h"
#include "runtime/preempt/xstate.h"

namespace {

std::vector<std::string> walk;
std::atomic<bool> parked;

[[gnu::noinline]] void Walk() {
  unw_context_t context;
  unw_cursor_t cursor;
  unw_getcontext(&context);
  unw_init_local(&cursor, &context);
  walk.clear();
  do {
    char name[128] = "";
    unw_word_t offset;
    unw_get_proc_name(&cursor, name, sizeof name, &offset);
    walk.emplace_back(name);
  } while (unw_step(&cursor) > 0);
}

void Inject(int, siginfo_t*, void* context) {
  greg_t* g = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  g[REG_RSP] -= URGE_RED_ZONE_BYTES + 8;
  std::memcpy(reinterpret_cast<void*>(g[REG_RSP]), &g[REG_RIP], 8);
  g[REG_RIP] = reinterpret_cast<greg_t>(&urge_async_preempt);
}

long IndexOf(const char* name) { return std::find(walk.begin(), walk.end(), name) - walk.begin(); }

}  // namespace

extern "C" {

void urge_async_preempt_park() {
  Walk();
  parked = true;
}

void urge_goexit0() { std::abort(); }

[[gnu::noinline]] void LibunwindTestInterrupted() {
  raise(SIGUSR2);
  __asm__ volatile("");
}

}  // extern "C"

TEST(LibunwindTest, WalksThroughAnInjectedCallToMain) {
  urge::preempt::InitXState();
  struct sigaction action = {};
  struct sigaction old = {};
  action.sa_sigaction = Inject;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR2, &action, &old);
  parked = false;
  LibunwindTestInterrupted();
  sigaction(SIGUSR2, &old, nullptr);
  ASSERT_TRUE(parked);
  EXPECT_LT(IndexOf("urge_async_preempt"), IndexOf("LibunwindTestInterrupted"));
  EXPECT_LT(IndexOf("LibunwindTestInterrupted"), IndexOf("main"));
  EXPECT_LT(IndexOf("main"), static_cast<long>(walk.size()));
}

TEST(LibunwindTest, StopsAtGoexit) {
  alignas(64) static char stack[256 << 10];
  static void* main_sp;
  void* sp = urge_make_context(
      stack + sizeof stack,
      [](void*) {
        Walk();
        void* dead = nullptr;
        urge_switch(&dead, main_sp, nullptr, nullptr);
      },
      nullptr);
  urge_switch(&main_sp, sp, nullptr, nullptr);
  ASSERT_GE(walk.size(), 2u);
  EXPECT_EQ(walk.back(), "urge_goexit");
}

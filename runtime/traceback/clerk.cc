#include "runtime/traceback/clerk.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstdint>

#include "runtime/base/os.h"
#include "runtime/sched/current.h"
#include "runtime/sched/sched.h"
#include "runtime/traceback/profile.h"
#include "runtime/traceback/quit.h"
#include "runtime/traceback/stall_report.h"

namespace urge::traceback {
namespace {

constinit std::atomic<std::uint32_t> g_bell{0};  // futex: 1 = look around
enum class Life : std::uint32_t { kNone, kStarting, kThere };
constinit std::atomic<Life> g_life{Life::kNone};

void* Main(void*) {
  for (;;) {
    // seq_cst: what is rung for after this is seen by the next round.
    g_bell.store(0, std::memory_order_seq_cst);
    QuitIfAsked();
    PrintStalls();
    DrainProfile();
    base::FutexWait(&g_bell, 0);
  }
}

}  // namespace

bool StartClerk() {
  Life none = Life::kNone;
  if (!g_life.compare_exchange_strong(none, Life::kStarting)) return true;
  if (sched::StartOwnThread(Main, nullptr, "urge-clerk") != 0) {
    g_life.store(Life::kNone);
    return false;
  }
  g_life.store(Life::kThere);
  return true;
}

void RingClerk() {
  if (g_bell.exchange(1, std::memory_order_seq_cst) != 0) return;
  if (g_life.load() == Life::kThere) {
    base::FutexWake(&g_bell, 1);
  } else if (auto* wake = sched::g_sched.hooks.wake_sysmon) {
    wake();
  }
}

bool ClerkIsWanted() {
  return g_bell.load(std::memory_order_relaxed) != 0 &&
         g_life.load(std::memory_order_relaxed) == Life::kNone;
}

void OnLargeStack(void (*f)(void*, Places), void* argument) {
  if (sched::CurrentM() == nullptr) return f(argument, Places::kLines);
  struct Call {
    void (*f)(void*, Places);
    void* argument;
  } call{f, argument};
  pthread_t thread;
  const auto main = [](void* call) -> void* {
    static_cast<Call*>(call)->f(static_cast<Call*>(call)->argument, Places::kLines);
    return nullptr;
  };
  if (pthread_create(&thread, nullptr, main, &call) != 0) return f(argument, Places::kOffsets);
  pthread_join(thread, nullptr);
}

void ForgetClerk() {
  g_life.store(Life::kNone);
  g_bell.store(0);
}

}  // namespace urge::traceback

#include "runtime/traceback/quit.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "runtime/base/os.h"
#include "runtime/base/print.h"
#include "runtime/preempt/stop_the_world.h"
#include "runtime/sched/start.h"
#include "runtime/traceback/clerk.h"
#include "runtime/traceback/fatal.h"
#include "runtime/traceback/snapshot.h"

namespace urge::traceback {
namespace {

// Without progress for so long the clerk counts as stuck. Debug information of a gigabyte takes
// seconds to open on a slow disk.
constexpr int kPatienceS = 10;
// Those that can't be stopped in this time are shown through a signal.
constexpr std::uint64_t kStopNs = 500'000'000;

constinit std::atomic<bool> g_begun{false};  // there was a SIGQUIT
constinit std::atomic<bool> g_asked{false};  // and its handler has said what it had to
constinit std::atomic<int> g_watchdog{-1};   // the kernel's timer; -1: none
constinit char g_token = 0;                  // the value of the watchdog's signal

// By the kernel's calls: those of libc are not for handlers.
void ArmWatchdog() {
  const int timer = g_watchdog.load(std::memory_order_relaxed);
  if (timer < 0) return;
  const itimerspec spec{{0, 0}, {kPatienceS, 0}};
  base::RawSyscall(SYS_timer_settime, timer, 0, reinterpret_cast<long>(&spec), 0);
}

void MakeWatchdog() {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGQUIT;
  event.sigev_value.sival_ptr = &g_token;
  int timer = -1;
  if (base::RawSyscall(SYS_timer_create, CLOCK_MONOTONIC, reinterpret_cast<long>(&event),
                       reinterpret_cast<long>(&timer)) == 0) {
    g_watchdog.store(timer, std::memory_order_relaxed);
    ArmWatchdog();
  }
}

}  // namespace

QuitStep BeginQuit(const siginfo_t* info) {
  if (info->si_code == SI_TIMER && info->si_value.sival_ptr == &g_token) {
    return QuitStep::kTakeOver;
  }
  if (GetLevel() == Level::kNone || !sched::g_started.load(std::memory_order_acquire)) {
    return QuitStep::kTakeOver;
  }
  return g_begun.exchange(true) ? QuitStep::kKnown : QuitStep::kFirst;
}

void LeaveToClerk() {
  MakeWatchdog();
  g_asked.store(true, std::memory_order_release);
  RingClerk();
}

void QuitIfAsked() {
  if (!g_asked.load(std::memory_order_acquire)) return;
  preempt::StopTheWorld(kStopNs);
  alignas(Snapshot) static char memory[sizeof(Snapshot)];  // never destroyed
  auto* snapshot = new (memory) Snapshot;
  snapshot->AddAll(nullptr);
  ArmWatchdog();
  base::RawPrint(STDERR_FILENO, "\n");
  snapshot->Print(STDERR_FILENO, Places::kLines, ArmWatchdog);
  CallDeathHook();
  Exit();
}

}  // namespace urge::traceback

#include "runtime/traceback/fatal.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <new>

#include "asm/switch.h"
#include "runtime/base/check.h"
#include "runtime/base/os.h"
#include "runtime/base/print.h"
#include "runtime/preempt/overflow.h"
#include "runtime/sched/park.h"
#include "runtime/sched/switch.h"
#include "runtime/trace/deferrals.h"
#include "runtime/traceback/clerk.h"
#include "runtime/traceback/crash.h"
#include "runtime/traceback/snapshot.h"
#include "runtime/traceback/symbol.h"
#include "runtime/traceback/traceback.h"

namespace urge::traceback {
namespace {

using base::RawWriter;
using sched::G;

std::atomic<int> g_reporting_tid{0};
std::terminate_handler g_next_terminate = nullptr;  // [c] the one before ours

constinit std::atomic<DeathHook> g_death_hook{nullptr};

[[noreturn]] void Abort() {
  signal(SIGABRT, SIG_DFL);
  std::abort();
}

// The whole report, from a stack that is large enough for a reader of debug information.
void PrintWithLines(int fd, G* gp, const Context& context, bool all) {
  struct Work {
    int fd;
    Snapshot snapshot{};
  };
  alignas(Work) static char memory[sizeof(Work)];  // never destroyed: see PrintAllGoroutines
  auto* work = new (memory) Work{fd};
  if (gp != nullptr) work->snapshot.AddRunning(gp, context);
  if (all) work->snapshot.AddAll(gp);
  if (work->snapshot.empty()) return;
  base::RawPrint(fd, "\n");
  const auto print = [](void* work, Places places) {
    static_cast<Work*>(work)->snapshot.Print(static_cast<Work*>(work)->fd, places);
  };
  OnLargeStack(print, work);
}

// The last thing before base::Fatal exits.
void OnFatal(base::FatalScope scope) {
  const Context context = CaptureContext();
  if (BeginReport() == Turn::kMine) {
    // All are shown for the sake of a deadlock: nobody runs who could hold a lock.
    if (scope == base::FatalScope::kAll) {
      PrintFailure(STDERR_FILENO, context, Scope::kAll, Places::kLines);
    } else {
      PrintFailure(STDERR_FILENO, context);
    }
  }
  if (GetLevel() == Level::kCrash) Abort();
}

void PrintTracebacks(int fd, const Context& context, Scope scope, Places places) {
  G* gp = sched::CurrentG();
  const bool all = scope == Scope::kAll || GetLevel() >= Level::kAll;
  if (places == Places::kLines) return PrintWithLines(fd, gp, context, all);
  if (sched::CurrentM() != nullptr) {
    RawWriter out(fd);
    out << "\n";
    if (gp != nullptr) {
      PrintRunning(out, gp, context);
    } else {
      PrintRuntimeStack(out, context);
    }
  }
  if (all) PrintAllGoroutines(fd, gp);
}

// Runs on: G, with the frames of the throw still below: nobody catches, so nothing was unwound.
void OnTerminate() {
  const Context context = CaptureContext();
  if (G* gp = sched::CurrentG(); gp != nullptr && BeginReport() == Turn::kMine) {
    PrintFailure(STDERR_FILENO, context, Scope::kByLevel, Places::kLines);
    RawWriter(STDERR_FILENO) << "\n";
  }
  if (g_next_terminate != nullptr) g_next_terminate();
  std::abort();
}

}  // namespace

Turn BeginReport() {
  int reporter = 0;
  const int self = base::Gettid();
  if (g_reporting_tid.compare_exchange_strong(reporter, self)) {
    if (G* gp = sched::CurrentG()) {
      ++gp->no_preempt;
      ++gp->keeps_p;
    }
    return Turn::kMine;
  }
  if (reporter == self) return Turn::kNested;
  for (;;) pause();
}

void Exit() {
  if (GetLevel() == Level::kCrash) Abort();
  _exit(base::kFatalExitStatus);
}

void SetDeathHook(DeathHook hook) { g_death_hook.store(hook, std::memory_order_release); }

void CallDeathHook() {
  if (const DeathHook hook = g_death_hook.exchange(nullptr)) hook();
}

void PrintFailure(int fd, const Context& context, Scope scope, Places places) {
  if (GetLevel() != Level::kNone) PrintTracebacks(fd, context, scope, places);
  CallDeathHook();
}

void StackOverflow(G* gp, std::size_t limit_bytes) {
  struct Overflow {
    G* gp;
    std::size_t limit_bytes;
  } overflow{gp, limit_bytes};
  // What is left of the stack may be too little for a report: it is made on g0.
  sched::SetGuardWord(0);
  sched::SwitchStacks(
      sched::CurrentM(), gp, nullptr,
      [](void* arg) {
        const auto* overflow = static_cast<Overflow*>(arg);
        StackOverflowAt(overflow->limit_bytes, ContextOfParked(overflow->gp));
      },
      &overflow);
  __builtin_unreachable();
}

void StackOverflowAt(std::size_t limit_bytes, const Context& context) {
  if (BeginReport() == Turn::kMine) {
    RawWriter(STDERR_FILENO) << "runtime: goroutine stack exceeds " << limit_bytes
                             << "-byte limit\nfatal error: stack overflow\n";
    PrintFailure(STDERR_FILENO, context);
  }
  Exit();
}

void Install() {
  Init();
  trace::SetCodeNamer(NameCode);
  base::SetFatalHook(OnFatal);
  preempt::g_stack_overflow_hook = StackOverflow;
  g_next_terminate = std::set_terminate(OnTerminate);
  InstallCrashHandlers();
}

}  // namespace urge::traceback

#include "runtime/traceback/fatal.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <exception>

#include "runtime/base/check.h"
#include "runtime/base/os.h"
#include "runtime/base/print.h"
#include "runtime/sched/current.h"
#include "runtime/sched/park.h"
#include "runtime/traceback/traceback.h"

namespace urge::traceback {
namespace {

using base::RawWriter;
using sched::G;

std::atomic<int> g_reporting_tid{0};
std::terminate_handler g_next_terminate = nullptr;  // [c] the one before ours

[[noreturn]] void Abort() {
  signal(SIGABRT, SIG_DFL);
  std::abort();
}

// The last thing before base::Fatal exits.
void OnFatal() {
  const Context context = CaptureContext();
  if (BeginReport() == Turn::kMine && GetLevel() > Level::kNone && sched::CurrentM() != nullptr) {
    RawWriter(STDERR_FILENO) << "\n";
    PrintFailure(STDERR_FILENO, context);
  }
  if (GetLevel() == Level::kCrash) Abort();
}

// Runs on: G, with the frames of the throw still below: nobody catches, so nothing was unwound.
void OnTerminate() {
  const Context context = CaptureContext();
  if (G* gp = sched::CurrentG(); gp != nullptr && BeginReport() == Turn::kMine) {
    if (GetLevel() > Level::kNone) {
      PrintFailure(STDERR_FILENO, context);
      RawWriter(STDERR_FILENO) << "\n";
    }
  }
  if (g_next_terminate != nullptr) g_next_terminate();
  std::abort();
}

void PrintOverflow(std::size_t limit_bytes) {
  RawWriter(STDERR_FILENO) << "runtime: goroutine stack exceeds " << limit_bytes
                           << "-byte limit\nfatal error: stack overflow\n\n";
}

}  // namespace

Turn BeginReport() {
  int reporter = 0;
  const int self = base::Gettid();
  if (g_reporting_tid.compare_exchange_strong(reporter, self)) {
    if (G* gp = sched::CurrentG()) ++gp->no_preempt;
    return Turn::kMine;
  }
  if (reporter == self) return Turn::kNested;
  for (;;) pause();
}

void Exit() {
  if (GetLevel() == Level::kCrash) Abort();
  _exit(base::kFatalExitStatus);
}

void PrintFailure(int fd, const Context& context, Scope scope) {
  G* gp = sched::CurrentG();
  if (gp != nullptr) {
    RawWriter out(fd);
    PrintRunning(out, gp, context);
  } else if (sched::CurrentM() != nullptr) {
    RawWriter out(fd);
    PrintRuntimeStack(out, context);
  }
  if (scope == Scope::kAll || GetLevel() >= Level::kAll) PrintAllGoroutines(fd, gp);
}

void StackOverflow(G* gp, std::size_t limit_bytes) {
  const Context context = CaptureContext();
  StackOverflowAt(gp, limit_bytes,
                  gp->stack.Contains(context.registers.rsp) ? context : ContextOfParked(gp));
}

void StackOverflowAt(G* gp, std::size_t limit_bytes, const Context& context) {
  if (BeginReport() == Turn::kNested) Exit();
  PrintOverflow(limit_bytes);
  if (GetLevel() > Level::kNone) {
    {
      RawWriter out(STDERR_FILENO);
      PrintRunning(out, gp, context);
    }
    if (GetLevel() >= Level::kAll) PrintAllGoroutines(STDERR_FILENO, gp);
  }
  Exit();
}

void Install() {
  Init();
  base::SetFatalHook(OnFatal);
  g_next_terminate = std::set_terminate(OnTerminate);
}

}  // namespace urge::traceback

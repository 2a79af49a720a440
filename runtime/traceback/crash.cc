#include "runtime/traceback/crash.h"

#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/base/os.h"
#include "runtime/base/print.h"
#include "runtime/sched/current.h"
#include "runtime/traceback/fatal.h"
#include "runtime/traceback/quit.h"
#include "runtime/traceback/traceback.h"

namespace urge::traceback {
namespace {

using base::Hex;
using base::RawWriter;
using sched::G;
using sched::M;

struct CrashSignal {
  int number;
  std::string_view text;  // Go's sigtable
  struct sigaction previous;
};
CrashSignal g_signals[] = {
    {SIGSEGV, "SIGSEGV: segmentation violation", {}},
    {SIGBUS, "SIGBUS: bus error", {}},
    {SIGFPE, "SIGFPE: floating-point exception", {}},
    {SIGILL, "SIGILL: illegal instruction", {}},
    {SIGTRAP, "SIGTRAP: trace trap", {}},
    {SIGABRT, "SIGABRT: abort", {}},
    {SIGQUIT, "SIGQUIT: quit", {}},
};

const CrashSignal& Find(int number) {
  for (const CrashSignal& signal : g_signals) {
    if (signal.number == number) return signal;
  }
  __builtin_unreachable();
}

// Raised by an instruction, which will fault again, rather than by kill and its kin.
bool IsSynchronous(const siginfo_t* info) {
  // SIGTRAP comes after its instruction and has to be raised again, like those of kill.
  return info->si_code > 0 && info->si_signo != SIGTRAP;
}

bool HasHandler(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 ||
         (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

void CallHandler(const CrashSignal& signal, siginfo_t* info, void* context) {
  const struct sigaction& action = signal.previous;
  if ((action.sa_flags & SA_RESETHAND) != 0) ::signal(signal.number, SIG_DFL);
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(signal.number, info, context);
  } else {
    action.sa_handler(signal.number);
  }
}

// The process dies of the signal once the handler has returned: by running into it again, with
// every register as it was, or by a copy sent to this thread, which is blocked until then.
void DieOnReturn(const siginfo_t* info) {
  ::signal(info->si_signo, SIG_DFL);
  if (!IsSynchronous(info)) syscall(SYS_tgkill, getpid(), base::Gettid(), info->si_signo);
}

bool IsStackOverflow(const G* gp, const siginfo_t* info, const Context& context) {
  if ((info->si_signo != SIGSEGV && info->si_signo != SIGBUS) || info->si_code <= 0) return false;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (sched::InGuard(gp->stack, address)) return true;
  // A large frame may step over the guard. A stack pointer below the stack may also be some
  // foreign coroutine's, so the fault has to be about that pointer.
  constexpr std::uintptr_t kFrameBytes = 16 << 20;
  const std::uintptr_t rsp = context.registers.rsp;
  return rsp < gp->stack.lo && gp->stack.lo - rsp < kFrameBytes && address < gp->stack.lo &&
         address + base::kPageBytes >= rsp;
}

// Go: dumpregs.
void PrintRegisters(RawWriter& out, const Context& context) {
  struct Name {
    std::string_view text;
    std::uint64_t preempt::Registers::*value;
  };
  using R = preempt::Registers;
  constexpr Name kNames[] = {{"rax", &R::rax}, {"rbx", &R::rbx}, {"rcx", &R::rcx}, {"rdx", &R::rdx},
                             {"rdi", &R::rdi}, {"rsi", &R::rsi}, {"rbp", &R::rbp}, {"rsp", &R::rsp},
                             {"r8 ", &R::r8},  {"r9 ", &R::r9},  {"r10", &R::r10}, {"r11", &R::r11},
                             {"r12", &R::r12}, {"r13", &R::r13}, {"r14", &R::r14}, {"r15", &R::r15},
                             {"rip", &R::rip}};
  out << "\n";
  for (const Name& name : kNames) {
    out << name.text << "    " << Hex{context.registers.*name.value} << "\n";
  }
}

void PrintSignal(const CrashSignal& signal, const M* m, const siginfo_t* info,
                 const Context& context) {
  RawWriter out(STDERR_FILENO);
  out << signal.text << "\nPC=" << Hex{context.registers.rip};
  if (m != nullptr) out << " m=" << m->id;
  out << " sigcode=" << info->si_code;
  if (IsSynchronous(info)) {
    out << " addr=" << Hex{reinterpret_cast<std::uintptr_t>(info->si_addr)};
  }
  out << "\n";
}

void Report(const CrashSignal& signal, const M* m, const siginfo_t* info, const Context& context) {
  PrintSignal(signal, m, info, context);
  PrintFailure(STDERR_FILENO, context);
  if (GetLevel() >= Level::kSystem) {
    RawWriter out(STDERR_FILENO);
    PrintRegisters(out, context);
  }
}

// Who sends SIGQUIT wants to know what everybody does; see quit.h.
void OnQuit(const CrashSignal& signal, const M* m, const siginfo_t* info, const Context& context) {
  switch (BeginQuit(info)) {
    case QuitStep::kFirst:
      PrintSignal(signal, m, info, context);
      return LeaveToClerk();
    case QuitStep::kKnown:
      return;
    case QuitStep::kTakeOver:
      break;
  }
  if (GetLevel() == Level::kNone) PrintSignal(signal, m, info, context);
  if (BeginReport() == Turn::kMine) PrintFailure(STDERR_FILENO, context, Scope::kAll);
  Exit();  // as Go does
}

void OnCrash(int number, siginfo_t* info, void* ucontext) {
  const int saved_errno = errno;
  const CrashSignal& signal = Find(number);
  const Context context = ContextOfSignal(static_cast<ucontext_t*>(ucontext));
  M* m = sched::CurrentM();
  G* gp = m == nullptr ? nullptr : m->curg.load(std::memory_order_relaxed);
  if (gp != nullptr && IsStackOverflow(gp, info, context)) {
    StackOverflowAt(gp->stack.size(), context);
  }
  if (HasHandler(signal.previous)) {
    CallHandler(signal, info, ucontext);
    errno = saved_errno;
    return;
  }
  if (signal.previous.sa_handler == SIG_IGN && info->si_code <= 0) return;
  if (number == SIGQUIT) {
    OnQuit(signal, m, info, context);
    errno = saved_errno;
    return;
  }
  if (m == nullptr && BeginReport() == Turn::kMine) CallDeathHook();
  if (m != nullptr && BeginReport() == Turn::kMine) Report(signal, m, info, context);
  DieOnReturn(info);
  errno = saved_errno;
}

}  // namespace

void InstallCrashHandlers() {
  for (CrashSignal& signal : g_signals) {
    sigaction(signal.number, nullptr, &signal.previous);
    struct sigaction action = {};
    action.sa_sigaction = OnCrash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    if (HasHandler(signal.previous)) {
      // It runs inside ours, so it finds the mask and the flags that it asked for.
      action.sa_mask = signal.previous.sa_mask;
      action.sa_flags |= signal.previous.sa_flags & (SA_NODEFER | SA_RESTART);
    } else {
      sigfillset(&action.sa_mask);
      for (const CrashSignal& synchronous : g_signals) {
        if (synchronous.number != SIGQUIT) sigdelset(&action.sa_mask, synchronous.number);
      }
    }
    sigaction(signal.number, &action, nullptr);
  }
}

}  // namespace urge::traceback

// The preemption signal: sending it, and deciding in its handler whether to inject.
//
//  1. SendPreemptSignal queues the signal to one thread, with a value that proves it is ours.
//  2. The handler runs on the M's alternate stack. It clears signal_pending, decides by Decide, and
//     edits the interrupted context so that it appears to have called urge_async_preempt: RSP goes
//     below the red zone, the interrupted PC is pushed. It never switches stacks itself, so the
//     kernel restores the signal mask as for any handler.
//  3. urge_async_preempt saves every register and calls urge_async_preempt_park, which switches to
//     g0 (async.cc).
//
// Injection is safe only if all of this holds; otherwise the reason is counted and the request
// stays pending:
//  - the goroutine runs, holds its P, and was asked to stop;
//  - it doesn't hold preemption off (no_preempt);
//  - RSP lies in its current stack with room for the frame and what runs on it;
//  - the PC is in text that the preemption map calls preemptible;
//  - the interrupted signal mask is the one that goroutines run with: otherwise some handler is
//    below us, or code that has blocked signals for a reason.
// Whether a foreign frame lies below is found out after the switch (request.cc, Inspect).
//
// A signal of the same number that isn't ours goes on to whoever handled it before.
//
// Source: Go's doSigPreempt, wantAsyncPreempt, isAsyncSafePoint, sigctxt.pushCall.

#ifndef URGE_RUNTIME_PREEMPT_SIGNAL_H_
#define URGE_RUNTIME_PREEMPT_SIGNAL_H_

#include <signal.h>

#include "asm/offsets.h"
#include "runtime/sched/sched.h"

namespace urge::preempt {

// Installs the handler for settings.preempt_signal. Errors: std::system_error.
void InstallSignalHandler();

// Gives the calling M its alternate stack and its timer; signals are blocked. Fatal without memory.
void PrepareThread(sched::M* m);
void ForgetThread(sched::M* m);

// At most one is on its way per M. Signal-safe: no (takes mark_lock).
void SendPreemptSignal(sched::M* m);
// The same unless a lock is taken. Signal-safe: yes.
bool TrySendPreemptSignal(sched::M* m);

// Has this signal cut short a system call that the kernel doesn't restart after a handler (poll,
// nanosleep, a wait with a time limit)? Then the call is about to return EINTR on our account.
// The kernel shows it before any handler of the thread has run: the result is in RAX already, and
// RIP is behind the instruction. If a handler of the program's own cut the call short, RIP is that
// handler's. Signals that come while this handler runs wait, as all are blocked: for the program
// they came before the call was begun again.
// In every handler of ours.  Signal-safe: yes.
void NoteInterruptedCall(sched::M* m, const ucontext_t& context);

// Was the thread interrupted in a system call? Then the pc is behind its instruction, or at it, if
// the call is begun anew after the handler.  Signal-safe: yes.
bool WasInSystemCall(std::uintptr_t pc);

// Would a handler that asks for an alternate stack of this size find as much on an M's?
bool FitsSignalStack(std::size_t bytes);
// Does the caller run on the M's alternate stack, in a signal handler?
bool OnSignalStack(const sched::M* m);

// Is the thread's signal mask the one that goroutines run with?
bool HasBaseMask(const sched::M* m);

// Has the handler met text that the map doesn't know since the last call? Then a module was loaded.
bool TakeUnknownTextSeen();

// Arms the M's timer to signal at the end of a slice. See sched::Hooks::slice_begins.
void ArmSliceTimer(sched::M* m, std::uint64_t end_ns);

// The first thing in every handler of ours: the kernel leaves AC as the interrupted code had it,
// and compiled code makes unaligned accesses.
inline void ClearAlignmentCheck() {
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"  // a leaf may have a red zone of its own
      "pushfq\n\t"
      "andq %0, (%%rsp)\n\t"
      "popfq\n\t"
      "leaq 128(%%rsp), %%rsp"
      :
      : "i"(~URGE_EFLAGS_AC)
      : "memory", "cc");
}

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_SIGNAL_H_

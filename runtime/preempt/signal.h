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

#include "runtime/sched/sched.h"

namespace urge::preempt {

// Installs the handler for settings.preempt_signal. Errors: std::system_error.
void InstallSignalHandler();

// Gives the calling M its alternate stack and its timer; signals are blocked. Fatal without memory.
void PrepareThread(sched::M* m);
void ForgetThread(sched::M* m);

// At most one is on its way per M. Signal-safe: no (takes mark_lock).
void SendPreemptSignal(sched::M* m);

// Is this the preemption signal, with our handler installed?  Signal-safe: yes.
bool OwnsSignal(int signal);
// As sigaction(2), for what is called with signals of that number that are not ours. Of its flags
// only SA_SIGINFO matters; every signal is blocked meanwhile.  Signal-safe: yes.
void ExchangeForeignHandler(const struct sigaction* action, struct sigaction* old);

// Would a handler that asks for an alternate stack of this size find as much on an M's?
bool FitsSignalStack(std::size_t bytes);
// Does the caller run on the M's alternate stack, in a signal handler?
bool OnSignalStack(const sched::M* m);

// Is the thread's signal mask the one that goroutines run with?
bool HasBaseMask(const sched::M* m);

// Has the handler met text that the map doesn't know since the last call? Then a module was loaded.
bool TakeUnknownTextSeen();

// Arms the M's timer to signal at the end of a slice. See sched::Hooks::slice_begins.
void ArmSliceTimer(sched::M* m, sched::G* gp, std::uint64_t end_ns);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_SIGNAL_H_

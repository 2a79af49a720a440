// Asking a goroutine to stop, and how it answers.
//
// Kinds of safe point
//   1. Voluntary: any switch. The request is then moot and counted as kAckVoluntary.
//   2. Prologue: the request poisons the guard that function prologues built with -fsplit-stack
//      compare RSP with; __morestack calls urge_newstack (newstack.cc). Answers in well under a
//      microsecond where there are calls.
//   3. Asynchronous: a signal, whose handler injects a call of urge_async_preempt at the
//      interrupted instruction (signal.cc), if that is safe.
//
// A request, step by step
//   1. The P's attention word says what its owner must look at when it next switches.
//   2. G::preempt and the reason are set, then G::guard and the M's guard word are poisoned.
//   3. If the goroutine answers signals only (it did last time), the signal follows at once.
//      Otherwise it has kMarkGraceNs for a prologue, and the signal goes with the next request: the
//      requester sleeps meanwhile, for it may have taken the very processor that is to answer.
//   4. Whoever asked (sysmon, stop-the-world) asks again, with back-off, until the P switches.
//
// Invariants
//  - At most one signal is on its way to an M: sent only on signal_pending 0 -> 1, which the
//    handler undoes first thing, or ArmSliceTimer if the kernel has lost it.
//  - A mark can be lost (a switch of the M writes the same word without a lock) but never sticks to
//    the wrong goroutine: newstack puts the true guard back where G::preempt is false.
//  - An M is marked or signalled only under its mark_lock and while it isn't gone.
//
// Rejected: signals only (2.5 us and unsafe places, where a mark costs 0.26 us); marks only (loops
// without calls never answer); poisoning G::guard alone (the prologue compares with the thread's
// word).
//
// Source: Go's preempt.go, preemptone, retake, signalM.

#ifndef URGE_RUNTIME_PREEMPT_REQUEST_H_
#define URGE_RUNTIME_PREEMPT_REQUEST_H_

#include <cstdint>

#include "runtime/sched/sched.h"

namespace urge::preempt {

// Asks whoever runs on p to stop, which was due at due_ns (0: now). Returns whether a signal is on
// its way: if not, the caller asks again when the grace is over. Runs on: anything but a handler;
// not the P's own M except for kWakeup, where the caller ends in sched::MaybeYield().
bool RequestPreemption(sched::P* p, sched::PreemptReason reason, std::uint64_t due_ns = 0);

// Switches the running goroutine off where it has stopped at m->stopped_ticks: at a prologue or
// (by_signal) in an injected frame. On g0 its frames are checked: the request is then acknowledged
// and the goroutine queued, or it goes on with the request still pending. Runs on: G.
void SwitchOffPreempted(sched::M* m, sched::G* gp, bool by_signal);

// Records a request on gp, which runs on (m, p), due and made then (base::Ticks()); false if it
// already has one as strong.  Signal-safe: on the M's own thread.
bool NoteRequest(sched::M* m, sched::P* p, sched::G* gp, sched::PreemptReason reason,
                 std::uint64_t due_ticks, std::uint64_t asked_ticks);

// Counts the pending request as put off at `ticks`, for that cause, which was met at pc (0: no
// place is to blame).  Signal-safe: yes. Runs on: the M's own thread.
void NoteDeferral(sched::M* m, const sched::G* gp, trace::Counter cause, std::uint64_t ticks,
                  std::uintptr_t pc = 0);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_REQUEST_H_

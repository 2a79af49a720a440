// Switching the M from one goroutine to another, and to and from g0.
//
//  1. The caller runs on goroutine `gp` and has chosen `next`, or goes to g0 to choose there.
//  2. What is per thread in C++ but belongs to a goroutine is exchanged: errno and the exception
//     globals (control words are urge_switch's affair). The guard word gets next's guard.
//  3. urge_switch saves gp's context and, on the new stack, calls `after`, which publishes gp:
//     queues it, releases the lock it waits under, frees it. Nobody can run gp before that.
//
// Where nothing on g0 is needed a switch goes straight from goroutine to goroutine. g0 is needed
// when P::attention says so, when the local queue is empty, when the next goroutine is wired
// elsewhere, and on the tick that looks at the global queue.
//
// Everything here is the runtime's own text, which is never preempted; `m` and `p` are right until
// the switch and must be read again after it.

#ifndef URGE_RUNTIME_SCHED_SWITCH_H_
#define URGE_RUNTIME_SCHED_SWITCH_H_

#include "asm/switch.h"
#include "runtime/base/sanitizer.h"
#include "runtime/sched/current.h"
#include "runtime/sched/record.h"
#include "runtime/sched/sched.h"

namespace urge::sched {

using AfterSwitch = void (*)(void*);

inline void Bump(std::atomic<std::uint32_t>& word) {
  // A single writer: no read-modify-write needed.
  word.store(word.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

inline void SaveThreadState(M* m, G* gp) {
  gp->saved_errno = *m->errno_slot;
  if (URGE_UNLIKELY(!m->eh->empty())) {
    gp->eh = *m->eh;
    *m->eh = EhGlobals();
  }
}

inline void LoadThreadState(M* m, G* gp) {
  *m->errno_slot = gp->saved_errno;
  if (URGE_UNLIKELY(!gp->eh.empty())) {
    *m->eh = gp->eh;
    gp->eh = EhGlobals();
  }
  // relaxed: a mark that races with this is found in gp->preempt and made again by sysmon.
  SetGuardWord(gp->guard.load(std::memory_order_relaxed));
}

// Forgets a request to stop; true if there was one, which the caller counts as answered.
// Go: execute() clears gp.preempt and stackguard0.
inline bool ClearRequest(G* gp) {
  // A read-modify-write: each request is answered once.
  const bool pending = gp->preempt.exchange(false, std::memory_order_relaxed);
  gp->preempt_reason.store(PreemptReason::kNone, std::memory_order_relaxed);
  gp->guard.store(GuardAtRest(gp), std::memory_order_relaxed);
  return pending;
}

// Books gp as the goroutine that runs on (m, p). A switch that inherits the time slice doesn't
// count as a tick.
inline void BookRunning(M* m, P* p, G* gp, bool inherit) {
  Transition(gp, GStatus::kRunnable, GStatus::kRunning);
  if (URGE_UNLIKELY(gp->preempt.load(std::memory_order_relaxed))) {
    // It was asked to stop and stopped by itself.
    if (ClearRequest(gp)) p->stats.Add(trace::Counter::kAckVoluntary);
  }
  m->curg.store(gp, std::memory_order_release);
  Bump(p->switches);
  if (!inherit) Bump(p->tick);
}

// Chooses the next goroutine without leaving the goroutine's stack, or returns null if that takes
// a visit to g0.
inline G* PickDirect(M* m, P* p, bool* inherit) {
  if (URGE_UNLIKELY(p->attention.load(std::memory_order_relaxed) != 0 || m->lockedg != nullptr)) {
    return nullptr;
  }
  // Next inherits a slice and a victim goes on with its own: neither counts, as in Go's schedtick.
  if (p->queue.PeekNext() == nullptr && !p->queue.HasVictim() &&
      URGE_UNLIKELY(--p->until_global == 0)) {
    p->until_global = 1;  // g0 repeats the count
    if (g_sched.global_size.load(std::memory_order_relaxed) != 0) return nullptr;
    p->until_global = base::kGlobalQueueTick;
  }
  G* gp;
  if (p->solo.load(std::memory_order_relaxed)) {
    gp = p->queue.PopNextUncontended();
    *inherit = gp != nullptr;
    if (gp == nullptr && !p->queue.HasVictim()) gp = p->queue.PopUncontended();
  } else {
    gp = p->queue.PeekNext() != nullptr ? p->queue.PopNext() : nullptr;
    *inherit = gp != nullptr;
    if (gp == nullptr && !p->queue.HasVictim()) gp = p->queue.Pop();
  }
  if (gp != nullptr && URGE_UNLIKELY(gp->needs_g0 != 0)) {
    m->next_g = gp;
    m->next_g_inherits = *inherit;
    return nullptr;
  }
  return gp;
}

// The switch itself, from `from` to `to`, either of which is g0 where null.
inline void SwitchStacks(M* m, G* from, G* to, AfterSwitch after, void* arg) {
  if (URGE_UNLIKELY(base::HasSanitizer())) {
    AnnouncedSwitch(m, from, to, after, arg);
    return;
  }
  urge_switch(from == nullptr ? &m->g0_sp : &from->sp, to == nullptr ? m->g0_sp : to->sp, after,
              arg);
}

// Runs on: G. Returns when gp runs again, perhaps on another thread.
inline void SwitchToG0(M* m, G* gp, AfterSwitch after, void* arg) {
  SaveThreadState(m, gp);
  m->curg.store(nullptr, std::memory_order_relaxed);
  SetGuardWord(0);
  SwitchStacks(m, gp, nullptr, after, arg);
}

// A goroutine that was wired for the code it was preempted in stops by itself, in a call that may
// move it, as it knows: the thread is free again.
inline void StopsByItself(M* m, G* gp) {
  if (URGE_UNLIKELY(m->lockedg != nullptr)) Unwire(m, gp, kWiredByFrame);
}

// Switches gp off, by its own will; `after(arg)` publishes it. `record` tells of both as
// RecordSwitch does. Runs on: G.
template <class RecordStop>
inline void SwitchOff(M* m, G* gp, AfterSwitch after, void* arg, RecordStop record) {
  StopsByItself(m, gp);
  P* p = m->p;
  bool inherit;
  G* next = PickDirect(m, p, &inherit);
  if (URGE_UNLIKELY(IsRecording(p))) record(m, p, next);
  if (next == nullptr) {
    SwitchToG0(m, gp, after, arg);
    return;
  }
  SaveThreadState(m, gp);
  BookRunning(m, p, next, inherit);
  LoadThreadState(m, next);
  SwitchStacks(m, gp, next, after, arg);
}

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_SWITCH_H_

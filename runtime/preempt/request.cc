#include "runtime/preempt/request.h"

#include "runtime/base/ticks.h"
#include "runtime/preempt/foreign_frames.h"
#include "runtime/preempt/map.h"
#include "runtime/preempt/probe.h"
#include "runtime/preempt/signal.h"
#include "runtime/preempt/stall.h"
#include "runtime/preempt/thread_bound.h"
#include "runtime/sched/switch.h"

namespace urge::preempt {

using sched::G;
using sched::M;
using sched::P;
using sched::PreemptReason;
using trace::Counter;
using trace::EventKind;

namespace {

Counter RequestCounter(PreemptReason reason) {
  switch (reason) {
    case PreemptReason::kWakeup:
      return Counter::kRequestsWakeup;
    case PreemptReason::kStop:
      return Counter::kRequestsStop;
    default:
      return Counter::kRequestsSlice;
  }
}

std::uint32_t AttentionFor(PreemptReason reason) {
  switch (reason) {
    case PreemptReason::kWakeup:
      return sched::kAttendTimer;
    case PreemptReason::kStop:
      return sched::kAttendStop;
    default:
      return sched::kAttendSlice;
  }
}

// __builtin_prefetch(p, 1) is a read's prefetch for the compiler's oldest x86-64, which leaves the
// line shared. This instruction does nothing where it isn't known.
inline void PrefetchForWriting(const void* line) {
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(line)));
}

// What base::Ticks() was at a time of CLOCK_MONOTONIC that is over. Not inline: the compiler would
// move the conversion behind the stamp of the request, whose latency it would then be.
[[gnu::noinline]] std::uint64_t TicksAt(std::uint64_t ns) {
  return base::Ticks() - base::TicksOfNs(base::NowNs() - ns);
}

// For records: -1 where it has none.
std::uint64_t ProcOf(const M* m) {
  const P* p = m->p;
  return p == nullptr ? ~std::uint64_t{0} : static_cast<std::uint64_t>(p->id);
}

// Poisons the guard, if gp still runs on m.
void Mark(M* m, G* gp) ABSL_EXCLUSIVE_LOCKS_REQUIRED(m->mark_lock) {
  gp->guard.store(sched::kStackPreempt, std::memory_order_relaxed);
  // seq_cst: orders the mark before the look at curg. The M stores curg before it stores the new
  // goroutine's guard in this word, so if it has moved on, ours may be overwritten (and be made
  // again) or hit the wrong goroutine (and be found unfounded by newstack).
  m->guard_word->store(sched::kStackPreempt, std::memory_order_seq_cst);
  const std::uint64_t marked_ticks = base::Ticks();
  trace::RequestStamps::Once(m->request.marked, marked_ticks);
  trace::AddShared(Counter::kMarks);
  if (URGE_UNLIKELY(trace::Recording())) {
    sched::RecordAt(marked_ticks, EventKind::kPreemptMark, 0, gp->goid, ProcOf(m));
  }
}

// Which frames are below a goroutine that was switched off by urge_switch.
ForeignFrames Inspect(const G* gp) {
  const StackRange stack[] = {{gp->stack.lo, gp->stack.hi}};
  return FindForeignFrames(StartOfParked(gp), stack, /*is_return_address=*/true);
}

// Remembers which way of asking suits the goroutine. Instrumented code may need a signal once, when
// its thread is off the CPU or in a library: so a goroutine counts as one for signals only after
// two in a row, and is then asked by the mark again from time to time.
void NoteAnswer(G* gp, bool by_signal) {
  gp->signal_streak = by_signal ? gp->signal_streak + 1 : 0;
  const bool probe = gp->signal_streak % base::kMarkProbeSlices < 2;
  gp->wants_signal.store(!probe, std::memory_order_relaxed);
}

// May a goroutine with these frames be switched off? If so wires it to its thread or frees it, as
// they ask for; else says why not.
Counter Admit(M* m, G* gp, const ForeignFrames& frames) {
  switch (frames.verdict) {
    case ForeignVerdict::kHoldsForeign:
      // The runtime itself below: interrupted in a leaf that it called, and maybe under its lock.
      return frames.kind == TextKind::kRuntime ? Counter::kDeferRuntimeLock
                                               : Counter::kDeferCallback;
    case ForeignVerdict::kUnwalkable:
      // What can't be seen may hold a lock, and that is worse than a thread's state.
      return Counter::kDeferUnwalkable;
    case ForeignVerdict::kClear:
    case ForeignVerdict::kTooDeep:
      break;
  }
  const bool too_deep = frames.verdict == ForeignVerdict::kTooDeep;
  if (frames.bound_begin == 0 && !too_deep) {
    // Whatever bound it when it was last preempted has returned.
    if (m->lockedg == gp) sched::Unwire(m, gp, sched::kWiredByFrame);
    return Counter::kCount;
  }
  if (m->lockedg == nullptr &&
      sched::g_sched.wired_by_frame.load(std::memory_order_relaxed) >= base::kMaxWiredByFrame) {
    return Counter::kDeferThreads;
  }
  // Before it is queued: whoever picks it must find it wired.
  sched::Wire(m, gp, sched::kWiredByFrame);
  m->p->stats.Add(Counter::kWiredByFrame);
  if (frames.bound_begin != 0) CountThreadBound(frames.bound_begin);
  return Counter::kCount;
}

// Was it code of somebody else's, there or below, that could not be interrupted?
bool IsForeign(Counter cause) {
  return cause == Counter::kDeferOpaque || cause == Counter::kDeferDenied ||
         cause == Counter::kDeferCallback || cause == Counter::kDeferUnwalkable;
}

// Counts a request as answered, and the times that were taken for it.
void CountAnswer(P* p, const M* m, bool by_signal) {
  p->stats.Add(by_signal ? Counter::kAckSignal : Counter::kAckPrologue);
  const std::uint64_t asked = m->request.asked.load(std::memory_order_relaxed);
  if (m->stopped_ticks > asked) {
    p->stats.Record(by_signal ? trace::Latency::kAckSignal : trace::Latency::kAckPrologue,
                    base::NsOfTicks(m->stopped_ticks - asked));
  }
}

void RecordRequeue(G* gp, trace::PreemptedTo to) {
  if (URGE_LIKELY(!trace::Recording())) return;
  if (to != trace::PreemptedTo::kStaysStopped) sched::RecordQueued(gp);
  sched::Record(EventKind::kPreemptRequeue, static_cast<std::uint8_t>(to), gp->goid);
}

// Queues a goroutine that was preempted at `now`, unless it is to stay stopped; then returns false.
bool Requeue(M* m, P* p, G* gp, PreemptReason reason, std::uint64_t now) {
  const bool dated =
      p->slice_tick.load(std::memory_order_relaxed) == p->tick.load(std::memory_order_relaxed);
  const std::uint64_t start = p->slice_start_ns.load(std::memory_order_relaxed);
  const std::uint64_t used = dated && now > start ? now - start : 1;
  auto stay = sched::StayStopped::kAsked;
  if (URGE_UNLIKELY(gp->stay_stopped.load(std::memory_order_relaxed) == stay) &&
      gp->stay_stopped.compare_exchange_strong(stay, sched::StayStopped::kStopped)) {
    // Go: preemptPark. Whoever asked for it owns the stack as soon as it sees the state.
    RecordRequeue(gp, trace::PreemptedTo::kStaysStopped);
    gp->wait_reason.store(sched::WaitReason::kStopped, std::memory_order_relaxed);
    sched::Transition(gp, sched::GStatus::kRunning, sched::GStatus::kPreempted);
    return false;
  }
  sched::Transition(gp, sched::GStatus::kRunning, sched::GStatus::kRunnable);
  // kNone: a request that was withdrawn in between; treat it as a yield.
  if (reason == PreemptReason::kSlice || reason == PreemptReason::kNone ||
      used >= sched::g_sched.settings.slice_ns) {
    if (dated) p->stats.Record(trace::Latency::kSliceLength, used);
    m->just_preempted = gp;
    RecordRequeue(gp, trace::PreemptedTo::kGlobalQueue);
    sched::PutGlobal(gp);
    return true;
  }
  // Taken for somebody who woke, or for stop-the-world: it keeps the rest of its slice and its
  // place at the head of this P's queue.
  gp->slice_used_ns = used;
  gp->taken_at_ns = now;
  RecordRequeue(gp, trace::PreemptedTo::kHeadOfItsP);
  if (G* displaced = p->queue.ReplaceVictim(gp)) {
    displaced->taken_at_ns = 0;  // from now on it waits for its turn, not for who woke
    sched::PutLocal(p, displaced);
  }
  return true;
}

// Called on g0 with a goroutine that has just been switched off inside a preemption, at
// m->stopped_ticks.
void SettlePreempted(M* m, G* gp, bool by_signal) {
  P* p = m->p;
  gp->marked_by_use = true;
  const PreemptReason reason = gp->preempt_reason.load(std::memory_order_relaxed);
  // The handler has compared the masks already. A user's handler without SA_ONSTACK runs on the
  // goroutine's stack, and its prologues are not to be switched off.
  Counter defer = Counter::kDeferSignalMask;
  ForeignFrames frames;
  if (by_signal || HasBaseMask(m)) {
    frames = Inspect(gp);
    defer = Admit(m, gp, frames);
  }
  if (defer != Counter::kCount) {
    NoteDeferral(m, gp, defer, m->stopped_ticks);
    NoteSentOn(m, gp, defer, frames.pc);
    gp->guard.store(sched::GuardAtRest(gp), std::memory_order_relaxed);
    m->go_on_g = gp;
    return;
  }
  trace::StopStamps stop{.accepted = m->stopped_ticks, .switched_off = base::Ticks()};
  sched::RecordAt(stop.switched_off, EventKind::kPreemptStop, by_signal, gp->goid, stop.accepted);
  const bool answered = sched::ClearRequest(gp);
  gp->needs_g0 |= sched::kNeedsDating;
  NoteAnswer(gp, by_signal);
  m->clock_ns = base::NowNs();
  const bool queued = Requeue(m, p, gp, reason, m->clock_ns);
  // gp may run elsewhere by now.
  if (answered) {
    CountAnswer(p, m, by_signal);
    // Stop-the-world is in no hurry to run the next one.
    if (queued && reason != PreemptReason::kStop) {
      stop.requeued = base::Ticks();
      p->preempt_due_ticks = m->request.due.load(std::memory_order_relaxed);
      p->preempt_requeued_ticks = stop.requeued;
    }
    trace::RecordStages(p->stats, m->request, stop);
  }
  if (queued) sched::WakePIfIdle();
}

template <bool by_signal>
void AfterStop(void* arg) {
  SettlePreempted(sched::CurrentM(), static_cast<G*>(arg), by_signal);
}

}  // namespace

void NoteDeferral(M* m, const G* gp, Counter cause, std::uint64_t ticks, std::uintptr_t pc) {
  sched::Record(EventKind::kPreemptDefer, static_cast<std::uint8_t>(cause),
                gp == nullptr ? 0 : gp->goid, pc);
  if (m->p != nullptr) {
    m->p->stats.Add(cause);
  } else {
    trace::AddShared(cause);
  }
  if (cause == Counter::kDeferNotWanted) return;  // there is no request
  trace::RequestStamps::Once(m->request.deferred, ticks);
  if (IsForeign(cause)) {
    // release: pairs with LookForForeign; whatever the goroutine did with its P's queue before it
    // called this code is done.
    m->foreign_hits.fetch_add(1, std::memory_order_release);
  }
}

bool NoteRequest(M* m, P* p, G* gp, PreemptReason reason, std::uint64_t due_ticks,
                 std::uint64_t asked_ticks) {
  p->attention.fetch_or(AttentionFor(reason), std::memory_order_relaxed);
  const bool pending = gp->preempt.load(std::memory_order_relaxed);
  if (pending && gp->preempt_reason.load(std::memory_order_relaxed) >= reason) return false;
  gp->preempt_reason.store(reason, std::memory_order_relaxed);
  if (!pending) m->request.Begin(due_ticks, asked_ticks);
  // A read-modify-write: of two that ask at once, one supersedes the other. release: whoever sees
  // the request sees its reason and time.
  if (gp->preempt.exchange(true, std::memory_order_release)) {
    trace::AddShared(Counter::kSuperseded);
  }
  trace::AddShared(RequestCounter(reason));
  // Asked first, here and elsewhere: who gp is lies in a line that a request doesn't touch.
  if (URGE_UNLIKELY(trace::Recording())) {
    sched::RecordAt(asked_ticks, EventKind::kPreemptAsk, static_cast<std::uint8_t>(reason),
                    gp->goid, static_cast<std::uint32_t>(p->id) | (asked_ticks - due_ticks) << 16);
  }
  return true;
}

bool RequestPreemption(P* p, PreemptReason reason, std::uint64_t due_ns) {
  M* m = p->m.load(std::memory_order_acquire);
  if (m == nullptr) return false;
  G* gp = m->curg.load(std::memory_order_acquire);
  const sched::Settings& settings = sched::g_sched.settings;
  // With both kinds off nobody is stopped: the P looks around when its goroutine stops by itself.
  const bool may_ask = settings.cooperative_preempt || settings.async_preempt;
  if (gp == nullptr || (!may_ask && reason != PreemptReason::kStop)) {
    p->attention.fetch_or(AttentionFor(reason), std::memory_order_relaxed);
    return false;
  }
  // Lines that another core owns are about to be written one after the other; asked for together,
  // they come in the time of one. Not the guard word's: every prologue there reads it, and would
  // have it back before we write.
  PrefetchForWriting(&gp->preempt);
  PrefetchForWriting(&gp->preempt_reason);
  PrefetchForWriting(&m->request);
  PrefetchForWriting(&p->attention);
  const std::uint64_t due = due_ns == 0 ? 0 : TicksAt(due_ns);
  {
    base::RuntimeLock lock(m->mark_lock);
    // Its page's translation, though, by way of a neighbour.
    __builtin_prefetch(reinterpret_cast<const char*>(m->guard_word) + base::kCacheLinePair);
    const std::uint64_t asked = base::Ticks();
    NoteRequest(m, p, gp, reason, due == 0 ? asked : due, asked);
    if (m->gone) return false;
    if (settings.cooperative_preempt) Mark(m, gp);
  }
  // On the goroutine's own thread the caller is about to look at the request itself.
  if (m == sched::CurrentM() || !settings.async_preempt) return false;
  if (settings.cooperative_preempt && !gp->wants_signal.load(std::memory_order_relaxed)) {
    const std::uint64_t asked = m->request.asked.load(std::memory_order_relaxed);
    if (base::NsOfTicks(base::Ticks() - asked) < base::kMarkGraceNs) return false;
  }
  if (m->curg.load(std::memory_order_relaxed) != gp) return false;
  SendPreemptSignal(m);
  return true;
}

void SwitchOffPreempted(M* m, G* gp, bool by_signal) {
  sched::SwitchToG0(m, gp, by_signal ? AfterStop<true> : AfterStop<false>, gp);
}

}  // namespace urge::preempt

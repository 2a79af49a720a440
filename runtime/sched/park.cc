// Park, Ready, Yield and the end of a goroutine: every way of leaving the processor by one's own
// code. Source: Go's gopark, goready, Gosched, goexit0.

#include "runtime/sched/park.h"

#include <sched.h>

#include <urge/go.h>
#include <urge/preempt.h>

#include "runtime/base/ticks.h"
#include "runtime/sched/switch.h"
#include "runtime/sched/timer.h"

namespace urge::sched {
namespace {

struct ParkArgs {
  G* gp;
  UnlockFunction unlock;
  void* arg;
};

void AfterPark(void* p) {
  // Copied first: once unlock has run, the goroutine may run elsewhere and its frame be gone.
  const ParkArgs park = *static_cast<ParkArgs*>(p);
  Transition(park.gp, GStatus::kRunning, GStatus::kWaiting);
  if (park.unlock != nullptr && !park.unlock(park.gp, park.arg)) Ready(park.gp);
}

void AfterYield(void* p) {
  G* gp = static_cast<G*>(p);
  Transition(gp, GStatus::kRunning, GStatus::kRunnable);
  PutLocal(CurrentM()->p, gp);
}

void AfterExit(void* p) {
  G* gp = static_cast<G*>(p);
  Transition(gp, GStatus::kRunning, GStatus::kDead);
  FreeGoroutine(CurrentM()->p, gp);
}

void AfterParkInSyscall(void* p) {
  const ParkArgs park = *static_cast<ParkArgs*>(p);
  Transition(park.gp, GStatus::kSyscall, GStatus::kWaiting);
  if (park.unlock != nullptr && !park.unlock(park.gp, park.arg)) Ready(park.gp);
  HandOffSyscallP(CurrentM());
}

// Park inside urge::blocking(): the goroutine has no P to give up, and may hold a lock that those
// with Ps wait for, so it must not queue for one first. Its thread sleeps until it is readied.
void ParkInSyscall(M* m, G* gp, ParkArgs& park) {
  trace::AddShared(trace::Counter::kParks);
  Record(EventKind::kGoBlock,
         static_cast<std::uint8_t>(gp->wait_reason.load(std::memory_order_relaxed)), gp->goid);
  Wire(m, gp, kWiredBySyscall);
  SwitchToG0(m, gp, AfterParkInSyscall, &park);
  EnterSyscall(SyscallKind::kBlocks);
  HandOffSyscallP(m);  // the same M: the goroutine is wired
  Unwire(m, gp, kWiredBySyscall);
}

bool UnlockRuntimeMutex(G*, void* lock) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  static_cast<base::RuntimeMutex*>(lock)->Unlock();
  return true;
}

// A goroutine has become runnable while every P is busy. If the caller's goroutine is known to
// have run for longer than the granularity, it is asked to make room at once; otherwise the woken
// one, which is next on this P, waits for it to block or for its slice to end.
// The clock is read only where the present run is dated, so a ping-pong pair never reads it.
inline void MaybePreemptSelf(M* m, P* p) {
  if (p->run_switch.load(std::memory_order_relaxed) !=
      p->switches.load(std::memory_order_relaxed)) {
    return;
  }
  G* gp = m->curg.load(std::memory_order_relaxed);
  if (gp == nullptr || !g_sched.settings.wakeup_preempt || gp->no_preempt != 0 ||
      g_sched.idle_ps.load(std::memory_order_relaxed) != 0 ||
      gp->preempt.load(std::memory_order_relaxed)) {
    return;
  }
  const std::uint64_t now = base::NowNs();
  if (now - p->run_start_ns.load(std::memory_order_relaxed) < base::kWakeupGranularityNs ||
      now < p->wakeup_allowed_ns.load(std::memory_order_relaxed)) {
    return;
  }
  g_sched.hooks.request_preemption(p, PreemptReason::kWakeup, /*due_ns=*/0);
}

}  // namespace

G* CurrentG() {
  M* m = CurrentM();
  return m == nullptr ? nullptr : m->curg.load(std::memory_order_relaxed);
}

void Park(UnlockFunction unlock, void* arg, WaitReason reason) {
  M* m = CurrentM();
  G* gp = m->curg.load(std::memory_order_relaxed);
  gp->wait_reason.store(reason, std::memory_order_relaxed);
  gp->wait_since_ns.store(0, std::memory_order_relaxed);
  ParkArgs park{gp, unlock, arg};
  if (URGE_UNLIKELY(m->p == nullptr)) {
    ParkInSyscall(m, gp, park);
    return;
  }
  m->p->stats.Add(trace::Counter::kParks);
  SwitchOff(m, gp, AfterPark, &park, [=](M* m, P* p, G* next) {
    RecordSwitch(m, p, gp, EventKind::kGoBlock, static_cast<std::uint8_t>(reason), next);
  });
}

void ParkUnlock(base::RuntimeMutex& lock, WaitReason reason) {
  Park(UnlockRuntimeMutex, &lock, reason);
}

void Ready(G* gp) {
  M* m = CurrentM();
  P* p = m == nullptr ? nullptr : m->p;
  const bool on_goroutine = p != nullptr && m->curg.load(std::memory_order_relaxed) != nullptr;
  if (URGE_UNLIKELY(!on_goroutine)) {
    gp->needs_g0 |= kNeedsTiming;
    gp->ready_ticks = base::Ticks();
  }
  Transition(gp, GStatus::kWaiting, GStatus::kRunnable);
  if (URGE_UNLIKELY(p == nullptr)) {
    trace::AddShared(trace::Counter::kReadies);
    if (URGE_UNLIKELY(trace::Recording())) RecordUnblock(m, gp);
    PutWoken(gp);
    return;
  }
  p->stats.Add(trace::Counter::kReadies);
  if (URGE_UNLIKELY(IsRecording(p))) RecordUnblock(m, gp);
  PutNext(p, gp);
  WakePIfIdle();
  // On g0 the loop runs what it finds at once and notes what is left (Execute).
  if (!on_goroutine) return;
  NoteQueued();
  MaybePreemptSelf(m, p);
}

void MaybeYield() {
  M* m = CurrentM();
  if (m == nullptr) return;
  G* gp = m->curg.load(std::memory_order_relaxed);
  if (gp != nullptr && URGE_UNLIKELY(gp->preempt.load(std::memory_order_relaxed))) {
    urge::detail::checkpoint_slow();
  }
}

Waiter::Waiter() : gp_(CurrentG()) {}

void Waiter::Wait(base::RuntimeMutex& lock, WaitReason reason) {
  Wait(UnlockRuntimeMutex, &lock, reason);
}

void Waiter::Wait(UnlockFunction unlock, void* arg, WaitReason reason) {
  if (gp_ != nullptr) {
    Park(unlock, arg, reason);
    base::AnnotateAcquire(this);
    return;
  }
  // Before the unlocking, so that whoever ends the wait finds it counted.
  counted_ = true;
  g_sched.blocked_threads.fetch_add(1, std::memory_order_relaxed);
  unlock(nullptr, arg);
  if (woken_.load(std::memory_order_acquire) == 0) {
    // The last goroutine may have gone to sleep before we did: look for a deadlock from here too.
    base::RuntimeLock sched_lock(g_sched.lock);
    CheckAllAsleepLocked();
  }
  while (woken_.load(std::memory_order_acquire) == 0) base::FutexWait(&woken_, 0);
  base::AnnotateAcquire(this);
}

bool Waiter::WaitUntil(base::RuntimeMutex& lock, WaitReason reason, std::uint64_t deadline_ns,
                       bool (*try_remove)(void* arg), void* arg) {
  if (deadline_ns == base::kNever) {
    Wait(lock, reason);
    return true;
  }
  if (gp_ == nullptr) {
    lock.Unlock();
    // A thread with a deadline is not asleep for ever, so it doesn't count as blocked.
    while (woken_.load(std::memory_order_acquire) == 0) {
      if (base::FutexWaitUntil(&woken_, 0, deadline_ns)) continue;
      lock.Lock();
      const bool removed = try_remove(arg);
      lock.Unlock();
      if (removed) return false;
      while (woken_.load(std::memory_order_acquire) == 0) base::FutexWait(&woken_, 0);
    }
    base::AnnotateAcquire(this);
    return true;
  }
  // The timer's callback competes with Wake() for the waiter through the list: whoever unlists it
  // readies the goroutine.
  struct Deadline {
    Timer timer;
    Waiter* waiter;
    base::RuntimeMutex* lock;
    bool (*try_remove)(void*);
    void* arg;
    bool timed_out = false;
    std::atomic<bool> callback_done{false};
  } deadline{{}, this, &lock, try_remove, arg};
  deadline.timer.when_ns = deadline_ns;
  deadline.timer.arg = &deadline;
  deadline.timer.callback = [](Timer* timer, std::uint64_t) {
    auto* d = static_cast<Deadline*>(timer->arg);
    d->lock->Lock();
    const bool removed = d->try_remove(d->arg);
    d->lock->Unlock();
    Waiter* waiter = d->waiter;
    if (removed) d->timed_out = true;  // else the waiter may be reading it
    // release: the last touch of the frame when we don't own the waiter.
    d->callback_done.store(true, std::memory_order_release);
    if (removed) waiter->Wake();
  };
  StartTimer(&deadline.timer);
  ParkUnlock(lock, reason);
  if (!StopTimer(&deadline.timer) && !deadline.timed_out) {
    // The callback is just running and lost the race: its frame is ours until it says so.
    while (!deadline.callback_done.load(std::memory_order_acquire)) sched_yield();
  }
  base::AnnotateAcquire(this);
  return !deadline.timed_out;
}

void Waiter::Wake() {
  base::AnnotateRelease(this);
  if (gp_ != nullptr) {
    Ready(gp_);
    return;
  }
  // Here and not by the thread, which may get a CPU only long after: until then it would look
  // blocked while nobody is left to wake it.
  if (counted_) g_sched.blocked_threads.fetch_sub(1, std::memory_order_relaxed);
  // The waiter is gone as soon as woken_ is seen: only its address is used after the store, for a
  // wake-up that at worst wakes a stranger for nothing.
  std::atomic<std::uint32_t>* word = &woken_;
  word->store(1, std::memory_order_release);
  base::FutexWake(word, 1);
}

}  // namespace urge::sched

using namespace urge::sched;

// Runs on: the goroutine that ends, from its bottom frame. Go: goexit1.
extern "C" void urge_goexit0() {
  M* m = CurrentM();
  G* gp = m->curg.load(std::memory_order_relaxed);
  m->p->stats.Add(urge::trace::Counter::kExits);
  if (URGE_UNLIKELY(urge::base::HasSanitizer())) gp->fiber.ends = true;
  if (URGE_UNLIKELY(m->lockedg == gp)) {
    // Go: a goroutine that exits wired takes its thread with it. Other reasons end with it.
    if (gp->lock_thread_depth != 0) m->exiting = true;
    Unwire(m, gp, static_cast<WiredReason>(gp->wired_reasons));
    if (URGE_UNLIKELY(IsRecording(m->p))) RecordEnd(m, m->p, gp, nullptr);
    SwitchToG0(m, gp, AfterExit, gp);
  } else {
    SwitchOff(m, gp, AfterExit, gp, [=](M* m, P* p, G* next) { RecordEnd(m, p, gp, next); });
  }
  __builtin_unreachable();
}

namespace urge {

void yield() {
  M* m = CurrentM();
  if (m == nullptr || m->p == nullptr || m->curg.load(std::memory_order_relaxed) == nullptr) {
    ::sched_yield();
    return;
  }
  G* gp = m->curg.load(std::memory_order_relaxed);
  P* p = m->p;
  p->stats.Add(trace::Counter::kYields);
  StopsByItself(m, gp);
  bool inherit;
  G* next = PickDirect(m, p, &inherit);
  if (next != nullptr) {
    if (URGE_UNLIKELY(IsRecording(p))) RecordSwitch(m, p, gp, EventKind::kGoYield, 0, next);
    SaveThreadState(m, gp);
    BookRunning(m, p, next, inherit);
    LoadThreadState(m, next);
    SwitchStacks(m, gp, next, AfterYield, gp);
    return;
  }
  // Alone: nothing to switch to, so a spinning `while (...) yield();` costs no visit to g0.
  if (m->next_g == nullptr && p->attention.load(std::memory_order_relaxed) == 0 &&
      p->queue.Empty() && g_sched.global_size.load(std::memory_order_relaxed) == 0) {
    return;
  }
  if (URGE_UNLIKELY(IsRecording(p))) RecordSwitch(m, p, gp, EventKind::kGoYield, 0, nullptr);
  SwitchToG0(m, gp, AfterYield, gp);
}

std::uint64_t goid() noexcept {
  const G* gp = CurrentG();
  return gp == nullptr ? 0 : gp->goid;
}

label_list labels() {
  const G* gp = CurrentG();
  return gp == nullptr || !gp->labels ? label_list() : *gp->labels;
}

}  // namespace urge

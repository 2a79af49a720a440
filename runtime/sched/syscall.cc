// Blocking the thread without blocking the P, and goroutines wired to their thread.
// Source: Go's entersyscall, entersyscallblock, exitsyscall, LockOSThread.
//
// A goroutine in a system call keeps its M but not its P: the P's status says kSyscall, and whoever
// moves it out of there by compare-and-swap has it (the returning M, sysmon, stop-the-world). A
// goroutine that finds its P gone and no other free is wired and queued, so that it goes on on the
// thread it left on: compilers keep errno's address over a call.

#include <urge/go.h>

#include "runtime/sched/park.h"
#include "runtime/sched/switch.h"

namespace urge::sched {
namespace {

bool TakeBack(M* m) {
  P* p = m->syscall_p;
  if (p == nullptr) return false;
  PStatus in_syscall = PStatus::kSyscall;
  // acquire: what whoever had it in between left behind; release is not needed, we own it now.
  if (!p->status.compare_exchange_strong(in_syscall, PStatus::kRunning,
                                         std::memory_order_acquire)) {
    return false;
  }
  m->p = p;
  NoteOwned(p);
  p->m.store(m, std::memory_order_relaxed);
  SyncRecording(p);
  return true;
}

bool TakeIdle(M* m) {
  P* p;
  {
    base::RuntimeLock lock(g_sched.lock);
    if (g_sched.stop_requested.load(std::memory_order_relaxed)) return false;
    p = TakeIdlePLocked();
  }
  if (p == nullptr) return false;
  AcquireP(m, p);
  return true;
}

void AfterExitSyscall(void* arg) {
  G* gp = static_cast<G*>(arg);
  Transition(gp, GStatus::kSyscall, GStatus::kRunnable);
  if (URGE_UNLIKELY(trace::Recording())) RecordQueued(gp);
  // It comes back from waiting, so it may take a processor from a long runner.
  PutWoken(gp);
}

}  // namespace

void EnterSyscall(SyscallKind kind) {
  M* m = CurrentM();
  G* gp = m->curg.load(std::memory_order_relaxed);
  P* p = m->p;
  gp->wait_since_ns.store(0, std::memory_order_relaxed);
  Transition(gp, GStatus::kRunning, GStatus::kSyscall);
  if (gp->preempt.load(std::memory_order_relaxed)) {
    if (ClearRequest(gp)) p->stats.Add(trace::Counter::kAckVoluntary);
    SetGuardWord(GuardAtRest(gp));
  }
  Record(EventKind::kSyscallEnter, kind == SyscallKind::kBlocks, gp->goid);
  m->syscall_p = p;
  m->p = nullptr;
  p->m.store(nullptr, std::memory_order_relaxed);
  NoteUnowned(p);
  Bump(p->syscall_tick);
  // release: whoever takes the P sees its queues as we left them.
  p->status.store(PStatus::kSyscall, std::memory_order_release);
  // Go: entersyscall_gcwait. seq_cst load: our status store, then this; pairs with
  // stop-the-world's store of stop_requested, then its look at the status.
  if (URGE_UNLIKELY(g_sched.stop_requested.load(std::memory_order_seq_cst))) {
    base::RuntimeLock lock(g_sched.lock);
    if (g_sched.stop_requested.load(std::memory_order_relaxed)) StopSyscallPLocked(p);
  }
  // Somebody waits for the P: sysmon, which may sleep until the end of the slice, shall see to it
  // that the call doesn't keep it for long. Once until it has seen the P out of system calls.
  if (kind == SyscallKind::kShort &&
      (!p->queue.Empty() || g_sched.global_size.load(std::memory_order_relaxed) != 0) &&
      !p->syscall_watched.exchange(true, std::memory_order_relaxed)) {
    g_sched.hooks.wake_sysmon();
  }
}

// A P in a system call counts as stopped once its status says so.
void StopSyscallPLocked(P* p) {
  PStatus in_syscall = PStatus::kSyscall;
  if (!p->status.compare_exchange_strong(in_syscall, PStatus::kStopped)) return;
  RecordOn(p, EventKind::kSyscallRetake);
  NoteStoppedLocked();
}

bool RetakeFromSyscall(P* p) {
  PStatus in_syscall = PStatus::kSyscall;
  if (!p->status.compare_exchange_strong(in_syscall, PStatus::kIdle, std::memory_order_acq_rel)) {
    return false;
  }
  RecordOn(p, EventKind::kSyscallRetake);
  return true;
}

void ExitSyscall() {
  M* m = CurrentM();
  G* gp = m->curg.load(std::memory_order_relaxed);
  if (TakeBack(m) || TakeIdle(m)) {
    Transition(gp, GStatus::kSyscall, GStatus::kRunning);
    m->syscall_p = nullptr;
    Bump(m->p->switches);
    Bump(m->p->tick);
    Record(EventKind::kSyscallExit, 0, gp->goid);
    return;
  }
  m->syscall_p = nullptr;
  Record(EventKind::kSyscallQueue, 0, gp->goid);
  Wire(m, gp, kWiredBySyscall);
  SwitchToG0(m, gp, AfterExitSyscall, gp);
  Unwire(CurrentM(), gp, kWiredBySyscall);
}

void HandOffSyscallP(M* m) {
  P* p = std::exchange(m->syscall_p, nullptr);
  if (p == nullptr || !RetakeFromSyscall(p)) return;
  p->stats.Add(trace::Counter::kHandoffs);
  HandOffP(p);
}

void Wire(M* m, G* gp, WiredReason reason) {
  if ((reason & ~gp->wired_reasons & kWiredByFrame) != 0) {
    g_sched.wired_by_frame.fetch_add(1, std::memory_order_relaxed);
  }
  gp->wired_reasons |= reason;
  gp->needs_g0 |= kNeedsItsThread;
  gp->marked_by_use = true;
  gp->wired_m.store(m, std::memory_order_relaxed);
  m->lockedg = gp;
}

void Unwire(M* m, G* gp, WiredReason reason) {
  if ((reason & gp->wired_reasons & kWiredByFrame) != 0) {
    g_sched.wired_by_frame.fetch_sub(1, std::memory_order_relaxed);
  }
  gp->wired_reasons &= ~static_cast<std::uint32_t>(reason);
  if (gp->wired_reasons != 0) return;
  gp->needs_g0 &= ~kNeedsItsThread;
  gp->wired_m.store(nullptr, std::memory_order_relaxed);
  m->lockedg = nullptr;
}

}  // namespace urge::sched

namespace urge {

using namespace urge::sched;

void lock_os_thread() {
  M* m = CurrentM();
  G* gp = m == nullptr ? nullptr : m->curg.load(std::memory_order_relaxed);
  if (gp == nullptr) return;
  if (gp->lock_thread_depth++ == 0) Wire(m, gp, kWiredByUser);
}

void unlock_os_thread() {
  M* m = CurrentM();
  G* gp = m == nullptr ? nullptr : m->curg.load(std::memory_order_relaxed);
  if (gp == nullptr || gp->lock_thread_depth == 0) return;
  if (--gp->lock_thread_depth == 0) Unwire(m, gp, kWiredByUser);
}

namespace detail {

void blocking_enter() noexcept {
  M* m = CurrentM();
  if (m == nullptr || m->p == nullptr) return;
  G* gp = m->curg.load(std::memory_order_relaxed);
  if (gp == nullptr) return;
  gp->marked_by_use = true;
  if (gp->blocking_depth++ != 0) return;
  EnterSyscall(SyscallKind::kBlocks);
  // The call is known to block: don't wait for sysmon. Go: entersyscallblock
  HandOffSyscallP(m);
}

void blocking_leave() noexcept {
  M* m = CurrentM();
  if (m == nullptr) return;
  G* gp = m->curg.load(std::memory_order_relaxed);
  if (gp == nullptr || gp->blocking_depth == 0) return;
  if (--gp->blocking_depth == 0) ExitSyscall();
}

}  // namespace detail
}  // namespace urge

// Spare Ps: one more than there shall be for each that is stuck with its M in code which isn't
// ours.
//
// A P is stuck when its M blocks in the kernel inside a library, where nobody stands in for the
// call (stdio's inner read, say), or computes there for long: it can't be taken away, since the M
// comes back at any moment and goes on with it. So sysmon adds a P instead, and takes one away when
// the other moves again. For a moment more goroutines may run at once than options::procs says.
//
//  1. AddSpareP: the new P is the last in all_ps. It owns no timers (StartTimer), so that it can go
//     without anybody's stopping.
//  2. What the stuck P has queued is stolen for it and goes to the global queue: other Ps look at
//     that before they steal, and hogs among them would never come to. It then works as any other.
//  3. RetireSpareP: the last P is emptied into the global queue; by sysmon if it is idle or in a
//     system call, by its owner on g0 if it runs (kAttendRetire).
//
// `procs` grows and shrinks here without the world's being stopped. A loop over all_ps that has
// read the larger number meets a dead P with empty queues at worst, since Ps are never freed. The
// lock excludes stop-the-world, which counts Ps.
//
// A lone P's owner uses its queue without atomic read-modify-writes (P::solo). That ends first:
// sysmon clears the flag, issues membarrier, and only then sees that the M sleeps in the kernel; an
// operation that had read the flag as set is over, since none sleeps, and later ones read it as
// clear. (Or a handler of the M's has met it in foreign code, which no operation calls.) It stays
// so until procs is changed.

#include <new>

#include "runtime/sched/switch.h"

namespace urge::sched {
namespace {

// Whoever was asked to go may be needed again by the time it comes to look: hence the count.
bool MayGoLocked(const P* p) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock) {
  return !g_sched.stop_requested.load(std::memory_order_relaxed) && p->spare &&
         g_sched.spare_ps.load(std::memory_order_relaxed) > g_sched.stuck_ps &&
         p == g_sched.all_ps[g_sched.procs.load(std::memory_order_relaxed) - 1];
}

// Requires: p is nobody's.
void DropLocked(P* p) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock) {
  EvacuateLocked(p);
  p->spare = false;
  p->attention.store(0, std::memory_order_relaxed);
  g_sched.spare_ps.fetch_sub(1, std::memory_order_relaxed);
  g_sched.procs.fetch_sub(1, std::memory_order_release);
}

// Steals by way of `scratch`, which is empty and nobody's. The P's owner may come back meanwhile.
void MakeGlobalLocked(P* p, RunQueue& scratch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock) {
  if (G* gp = p->queue.StealNext()) PutGlobalLocked(gp);
  if (G* gp = p->queue.StealVictim()) PutGlobalLocked(gp);
  while (G* gp = p->queue.StealHalfInto(scratch)) {
    while (G* other = scratch.Pop()) PutGlobalLocked(other);
    PutGlobalLocked(gp);
  }
}

}  // namespace

void EndSolo() {
  for (int i = 0; i < g_sched.procs.load(std::memory_order_relaxed); ++i) {
    g_sched.all_ps[i]->solo.store(false, std::memory_order_relaxed);
  }
  base::Membarrier();
}

P* AddSpareP(P* stuck) {
  const int id = g_sched.procs.load(std::memory_order_relaxed);
  if (id >= base::kMaxProcs ||
      g_sched.spare_ps.load(std::memory_order_relaxed) >= base::kMaxSparePs) {
    return nullptr;
  }
  P* fresh = g_sched.all_ps[id] == nullptr ? NewP(id) : nullptr;
  base::RuntimeLock lock(g_sched.lock);
  P*& slot = g_sched.all_ps[id];
  if (g_sched.stop_requested.load(std::memory_order_relaxed) ||
      g_sched.procs.load(std::memory_order_relaxed) != id) {
    if (slot == nullptr) slot = fresh;  // for the next time
    return nullptr;
  }
  if (slot == nullptr) slot = fresh;
  if (slot == nullptr) return nullptr;  // no memory; next time
  slot->spare = true;
  slot->solo.store(false, std::memory_order_relaxed);
  // On nobody's list: on its way to an M, which the caller starts.
  slot->status.store(PStatus::kIdle, std::memory_order_relaxed);
  g_sched.spare_ps.fetch_add(1, std::memory_order_relaxed);
  ++g_sched.stuck_ps;
  // release: whoever counts on the P finds it.
  g_sched.procs.fetch_add(1, std::memory_order_release);
  MakeGlobalLocked(stuck, slot->queue);
  return slot;
}

void MakeGlobal(P* p) {
  static constinit RunQueue scratch;
  {
    base::RuntimeLock lock(g_sched.lock);
    MakeGlobalLocked(p, scratch);
  }
  WakePIfIdle();
}

bool RetireSpareP(int stuck) {
  P* p = g_sched.all_ps[g_sched.procs.load(std::memory_order_relaxed) - 1];
  {
    base::RuntimeLock lock(g_sched.lock);
    g_sched.stuck_ps = stuck;
    if (!MayGoLocked(p)) return false;
    if (!TakeFromIdleLocked(p) && !RetakeFromSyscall(p)) {
      p->attention.fetch_or(kAttendRetire, std::memory_order_relaxed);
      return false;
    }
    DropLocked(p);
  }
  WakePIfIdle();
  NoteQueued();
  return true;
}

bool RetireOwnP(M* m) {
  {
    base::RuntimeLock lock(g_sched.lock);
    P* p = m->p;
    if (!MayGoLocked(p)) return false;
    if (m->spinning) {
      m->spinning = false;
      g_sched.spinning.fetch_sub(1, std::memory_order_relaxed);
    }
    if (m->next_g != nullptr) PutGlobalLocked(std::exchange(m->next_g, nullptr));
    ReleaseP(m);
    DropLocked(p);
  }
  WakePIfIdle();
  NoteQueued();
  return true;
}

}  // namespace urge::sched

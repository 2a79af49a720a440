// Setting up and resizing the scheduler. Source: Go's schedinit, procresize.

#include <new>

#include "runtime/sched/switch.h"

namespace urge::sched {

P* NewP(int id) {
  P* p = new (std::nothrow) P;
  if (p == nullptr) return nullptr;
  p->id = id;
  p->status.store(PStatus::kDead, std::memory_order_relaxed);
  trace::RegisterStats(&p->stats);
  return p;
}

void EvacuateLocked(P* p) {
  // The order of service is kept: next, victim, ring.
  if (G* gp = p->queue.PopNext()) PutGlobalLocked(gp);
  if (G* gp = p->queue.PopVictim()) PutGlobalLocked(gp);
  while (G* gp = p->queue.Pop()) PutGlobalLocked(gp);
  p->status.store(PStatus::kDead, std::memory_order_release);
}

void InitScheduler(const Settings& settings, const Hooks& hooks, int procs) {
  g_sched.settings = settings;
  g_sched.hooks = hooks;
  SetStandardStackBytes(settings.stack_bytes);
  if (!ResizeProcs(procs, nullptr)) throw std::bad_alloc();
  base::RuntimeLock lock(g_sched.lock);
  // An attempt to start may have got this far and failed later on.
  while (TakeIdlePLocked() != nullptr) {
  }
  for (int i = procs - 1; i >= 0; --i) PutIdlePLocked(g_sched.all_ps[i]);
}

bool ResizeProcs(int procs, P* keep) {
  for (int i = 0; i < procs; ++i) {
    if (g_sched.all_ps[i] == nullptr && (g_sched.all_ps[i] = NewP(i)) == nullptr) return false;
  }
  const int before = g_sched.procs.load(std::memory_order_relaxed);
  for (int i = procs; i < before; ++i) {
    P* p = g_sched.all_ps[i];
    p->spare = false;
    if (p == keep) continue;
    {
      base::RuntimeLock lock(g_sched.lock);
      EvacuateLocked(p);
    }
    p->timers.MoveAllTo(g_sched.all_ps[0]->timers);
  }
  g_sched.procs.store(procs, std::memory_order_release);
  g_sched.spare_ps.store(0, std::memory_order_relaxed);
  for (int i = 0; i < procs; ++i) {
    P* p = g_sched.all_ps[i];
    p->solo.store(procs == 1, std::memory_order_relaxed);
    p->spare = false;
    if (i >= before) p->status.store(PStatus::kStopped, std::memory_order_relaxed);
  }
  return true;
}

void ExchangeForFirstP(M* m) {
  P* old = ReleaseP(m);
  P* first = g_sched.all_ps[0];
  AcquireP(m, first);
  first->status.store(PStatus::kStopped, std::memory_order_relaxed);
  {
    base::RuntimeLock lock(g_sched.lock);
    EvacuateLocked(old);
  }
  old->timers.MoveAllTo(first->timers);
}

}  // namespace urge::sched

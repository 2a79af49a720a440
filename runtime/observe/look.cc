#include "runtime/observe/look.h"

#include "runtime/base/ticks.h"

namespace urge::observe {
namespace {

using sched::G;
using sched::g_sched;
using sched::GStatus;
using sched::M;
using sched::P;

std::uint64_t UnownedNs(const P* p) {
  const std::uint64_t from = g_sched.timed_from.load(std::memory_order_relaxed);
  if (from == 0) return 0;
  const std::int64_t ticks = p->unowned_ticks.load(std::memory_order_relaxed);
  const std::uint64_t now = base::Ticks();
  if (ticks > 0) return base::NsOfTicks(static_cast<std::uint64_t>(ticks));
  if (ticks < 0) return base::NsOfTicks(now + static_cast<std::uint64_t>(ticks));
  // Nothing noted yet: it has been as it is from the beginning.
  return p->m.load(std::memory_order_relaxed) == nullptr ? base::NsOfTicks(now - from) : 0;
}

bool IsAlive(GStatus status) { return status != GStatus::kIdle && status != GStatus::kDead; }

}  // namespace

void EnableLoads() {
  std::uint64_t off = 0;
  g_sched.timed_from.compare_exchange_strong(off, base::Ticks(), std::memory_order_relaxed);
}

GoroutineLook LookAt(const G* gp) {
  GoroutineLook look;
  if (gp == nullptr) return look;
  look.goid = Peek(gp->goid);
  for (std::size_t i = 0; i + 1 < sizeof(look.name); ++i) {
    look.name[i] = Peek(gp->name[i]);
    if (look.name[i] == 0) break;
  }
  return look;
}

ProcLook LookAt(const P* p, std::uint64_t now_ns) {
  ProcLook look;
  look.id = p->id;
  look.status = p->status.load(std::memory_order_relaxed);
  look.spare = p->spare.load(std::memory_order_relaxed);
  look.queued = p->queue.Size();
  look.slices = p->tick.load(std::memory_order_relaxed);
  look.switches = p->switches.load(std::memory_order_relaxed);
  look.syscalls = p->syscall_tick.load(std::memory_order_relaxed);
  look.unowned_ns = UnownedNs(p);
  // acquire: pairs with the release that published the M.
  const M* m = p->m.load(std::memory_order_acquire);
  if (m == nullptr) return look;
  look.tid = Peek(m->tid);
  look.goroutine = LookAt(m->curg.load(std::memory_order_acquire));
  if (look.goroutine.goid == 0 || p->run_switch.load(std::memory_order_relaxed) != look.switches) {
    return look;
  }
  const std::uint64_t start = p->run_start_ns.load(std::memory_order_relaxed);
  look.running_ns = start < now_ns ? now_ns - start : 0;
  return look;
}

std::vector<ProcLook> LookAtProcs() {
  std::vector<ProcLook> looks;
  const std::uint64_t now = base::NowNs();
  const int procs = g_sched.procs.load(std::memory_order_acquire);
  for (int i = 0; i < procs; ++i) looks.push_back(LookAt(g_sched.all_ps[i], now));
  return looks;
}

ThreadCounts CountThreads() {
  ThreadCounts counts;
  {
    base::RuntimeLock lock(g_sched.lock);
    counts.scheduler = g_sched.threads;
    counts.idle = g_sched.idle_ms.size();
    counts.wired_idle = g_sched.locked_idle_ms;
  }
  counts.spinning = g_sched.spinning.load(std::memory_order_relaxed);
  counts.own = g_sched.own_threads.load(std::memory_order_relaxed);
  counts.blocked = g_sched.blocked_threads.load(std::memory_order_relaxed);
  return counts;
}

GoroutineCounts CountGoroutines() {
  static_assert(static_cast<std::size_t>(sched::WaitReason::kStopped) + 1 == kWaitReasonCount);
  GoroutineCounts counts;
  for (const G* gp = sched::FirstGoroutine(); gp != nullptr; gp = gp->all_next) {
    const GStatus status = gp->status.load(std::memory_order_relaxed);
    if (!IsAlive(status)) continue;
    if (Peek(gp->system)) {
      ++counts.system;
      continue;
    }
    ++counts.by_status[static_cast<std::size_t>(status)];
    if (status == GStatus::kWaiting) {
      ++counts.by_wait_reason[static_cast<std::size_t>(
          gp->wait_reason.load(std::memory_order_relaxed))];
    }
    counts.wired += gp->wired_m.load(std::memory_order_relaxed) != nullptr;
  }
  return counts;
}

}  // namespace urge::observe

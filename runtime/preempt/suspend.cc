#include "runtime/preempt/suspend.h"

#include <urge/go.h>

#include "runtime/preempt/request.h"
#include "runtime/sched/park.h"
#include "runtime/sched/switch.h"

namespace urge::preempt {

using sched::G;
using sched::GStatus;
using sched::M;
using sched::P;
using sched::StayStopped;

namespace {

void Ask(G* gp) {
  for (const M* m = sched::g_sched.all_ms.load(std::memory_order_acquire); m != nullptr;
       m = m->all_next) {
    if (m->curg.load(std::memory_order_relaxed) != gp) continue;
    // Ms and Ps are type-stable: a pair that is out of date asks a stranger to yield, at worst.
    if (P* p = m->p) RequestPreemption(p, sched::PreemptReason::kStop);
    return;
  }
}

}  // namespace

bool Suspend(G* gp, std::uint64_t deadline_ns) {
  auto expected = StayStopped::kNo;
  if (!gp->stay_stopped.compare_exchange_strong(expected, StayStopped::kAsked)) return false;
  const std::uint64_t end = base::NowNs() + deadline_ns;
  std::uint64_t ask_at = 0;
  for (;;) {
    // acquire: pairs with Transition's release; the stack is complete.
    if (gp->status.load(std::memory_order_acquire) == GStatus::kPreempted) return true;
    const std::uint64_t now = base::NowNs();
    expected = StayStopped::kAsked;
    // If its M has consented already, it stops within the next few instructions.
    if (now >= end && gp->stay_stopped.compare_exchange_strong(expected, StayStopped::kNo)) {
      return false;
    }
    if (now >= ask_at) {
      Ask(gp);
      ask_at = now + base::kStopTheWorldRetryNs;
    }
    yield();
  }
}

void Resume(G* gp) {
  gp->stay_stopped.store(StayStopped::kNo, std::memory_order_relaxed);
  sched::Transition(gp, GStatus::kPreempted, GStatus::kRunnable);
  if (URGE_UNLIKELY(trace::Recording())) sched::RecordUnblock(sched::CurrentM(), gp);
  sched::PutGlobal(gp);
  sched::WakePIfIdle();
  sched::NoteQueued();
}

}  // namespace urge::preempt

#include "sysmon/sysmon.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <system_error>

#include "runtime/base/os.h"
#include "runtime/preempt/map.h"
#include "runtime/preempt/request.h"
#include "runtime/preempt/signal.h"
#include "runtime/preempt/stall.h"
#include "runtime/sched/record.h"
#include "runtime/sched/sched.h"
#include "runtime/traceback/clerk.h"
#include "sysmon/deadlock.h"
#include "sysmon/schedtrace.h"
#include "sysmon/starvation.h"
#include "sysmon/stuck.h"
#include "sysmon/waits.h"

namespace urge::sysmon {
namespace {

using sched::G;
using sched::g_sched;
using sched::M;
using sched::P;
using sched::PreemptReason;
using sched::PStatus;

constinit std::atomic<std::uint32_t> g_wake{0};  // futex: 1 = look again

// What a round found out about the future.
struct Plan {
  std::uint64_t made_ns = 0;
  std::uint64_t next_ns = base::kNever;  // when something can be due
  bool watch = false;                    // something is due as soon as somebody queues up

  void At(std::uint64_t ns) { next_ns = std::min(next_ns, ns); }
};

bool SomebodyWaits(const P* p, std::uint64_t now) {
  if (!p->queue.Empty() || g_sched.global_size.load(std::memory_order_acquire) != 0) return true;
  // Those of a stuck P wait for any other, and spare ones have none.
  const bool any = g_sched.spare_ps.load(std::memory_order_relaxed) != 0;
  return (any ? sched::EarliestTimerNs() : p->timers.earliest_ns()) <= now;
}

// Asks p's goroutine to stop, which was due at due_ns, and again with growing pauses while the same
// run goes on.
void Ask(P* p, PreemptReason reason, std::uint64_t due_ns, std::uint64_t now, Plan& plan) {
  P::Watch& watch = p->watch;
  const std::uint32_t run = p->switches.load(std::memory_order_relaxed);
  if (watch.asked_switch != run) {
    watch.asked_switch = run;
    watch.asked_ns = now;
    watch.solo_ended = watch.queue_freed = false;
    if (const M* m = p->m.load(std::memory_order_acquire)) {
      watch.foreign_hits = m->foreign_hits.load(std::memory_order_relaxed);
    }
    watch.backoff_ns = base::kRetryMinNs;
  } else if (now < watch.retry_at_ns) {
    plan.At(watch.retry_at_ns);
    return;
  } else {
    // A signal that hasn't arrived yet waits, as its thread does, for a CPU.
    const M* m = p->m.load(std::memory_order_acquire);
    const bool on_its_way = m != nullptr && m->signal_pending.load(std::memory_order_relaxed) != 0;
    watch.backoff_ns =
        std::min(watch.backoff_ns * 2, on_its_way ? base::kRetryPendingMaxNs : base::kRetryMaxNs);
  }
  const bool signalled = preempt::RequestPreemption(p, reason, due_ns);
  watch.retry_at_ns = now + (signalled ? watch.backoff_ns : base::kMarkGraceNs);
  plan.At(watch.retry_at_ns);
  plan.At(preempt::WatchForStall(p, now));
}

void Date(P* p, std::uint64_t now) {
  const std::uint32_t switches = p->switches.load(std::memory_order_relaxed);
  if (p->run_switch.load(std::memory_order_relaxed) != switches) {
    p->run_start_ns.store(now, std::memory_order_relaxed);
    p->run_switch.store(switches, std::memory_order_relaxed);
  }
  const std::uint32_t tick = p->tick.load(std::memory_order_relaxed);
  if (p->slice_tick.load(std::memory_order_relaxed) != tick) {
    p->slice_start_ns.store(now, std::memory_order_relaxed);
    p->slice_tick.store(tick, std::memory_order_relaxed);
  }
}

void LookAtRunning(P* p, std::uint64_t now, Plan& plan) {
  p->syscall_watched.store(false, std::memory_order_relaxed);
  const M* m = p->m.load(std::memory_order_acquire);
  if (m == nullptr || m->curg.load(std::memory_order_relaxed) == nullptr) {
    // Its M is on g0, about to choose. It will have run something when we look again.
    plan.At(now + g_sched.settings.slice_ns);
    return;
  }
  P::Watch& watch = p->watch;
  if (watch.stuck) {
    if (IsStillStuck(p, now)) {
      // Its thread tries by itself, unless it was met in a system call.
      if (watch.computes) preempt::RequestPreemption(p, PreemptReason::kSlice, now);
      plan.At(now + base::kStuckLookNs);
      return;
    }
    watch.stuck = false;
  }
  const std::uint32_t switches = p->switches.load(std::memory_order_relaxed);
  const bool moved = std::exchange(watch.switches, switches) != switches;
  Date(p, now);
  const std::uint64_t end =
      p->slice_start_ns.load(std::memory_order_relaxed) + g_sched.settings.slice_ns;
  if (now < end) {
    plan.At(end);
    return;
  }
  if (SomebodyWaits(p, now)) {
    if (g_sched.settings.cooperative_preempt || g_sched.settings.async_preempt) {
      Ask(p, PreemptReason::kSlice, end, now, plan);
    } else {
      // Nobody is interrupted: the P looks around when its goroutine stops by itself, and
      // goroutines that hand the processor to each other end the slice that they share.
      p->attention.fetch_or(sched::kAttendTimer | sched::kAttendSlice, std::memory_order_relaxed);
      plan.At(now + g_sched.settings.slice_ns);
    }
    std::uint64_t again_ns = base::kNever;
    if (!LookForStuck(p, now, &again_ns)) {
      plan.At(again_ns);
      if (watch.asked_switch == switches) {
        LookForForeign(p, now, &again_ns);
        FreeQueueBehind(p, now);
      }
    }
    plan.At(again_ns);
  } else if (moved) {
    // Goroutines that hand the processor to each other within one slice, with nobody else
    // waiting at this moment: a new slice begins.
    p->slice_start_ns.store(now, std::memory_order_relaxed);
    plan.At(now + g_sched.settings.slice_ns);
  } else {
    plan.watch = true;
  }
}

// Go: retake's part for system calls.
void LookAtSyscall(P* p, std::uint64_t now, Plan& plan) {
  P::Watch& watch = p->watch;
  const std::uint32_t tick = p->syscall_tick.load(std::memory_order_relaxed);
  if (watch.syscall_tick != tick) {
    watch.syscall_tick = tick;
    watch.syscall_since_ns = now;
  }
  if (!SomebodyWaits(p, now)) {
    plan.watch = true;
    return;
  }
  const std::uint64_t due = watch.syscall_since_ns + base::kSyscallRetakeNs;
  if (now < due) {
    plan.At(due);
  } else if (sched::RetakeFromSyscall(p)) {
    trace::AddShared(trace::Counter::kSyscallRetakes);
    sched::HandOffP(p);
  }
}

// Is there a goroutine that a thread without a P has readied while every P was busy?
bool WokenWaits() {
  if (!g_sched.woken_waits.load(std::memory_order_acquire)) return false;
  base::RuntimeLock lock(g_sched.lock);
  const bool waits = !g_sched.woken.empty();
  g_sched.woken_waits.store(waits, std::memory_order_release);
  return waits;
}

// A timer is due, or somebody has woken, since then, and no P is free: the goroutine that has run
// longest gives way.
void PreemptForWakeup(std::uint64_t since, std::uint64_t now, Plan& plan) {
  if (!g_sched.settings.wakeup_preempt) return;  // served at the end of a slice
  P* longest = nullptr;
  std::uint64_t longest_ns = 0, due = 0;
  const int procs = g_sched.procs.load(std::memory_order_relaxed);
  for (int i = 0; i < procs; ++i) {
    P* p = g_sched.all_ps[i];
    if (p->status.load(std::memory_order_acquire) != PStatus::kRunning || p->watch.stuck) continue;
    p->attention.fetch_or(sched::kAttendTimer, std::memory_order_relaxed);
    if (p->watch.asked_switch == p->switches.load(std::memory_order_relaxed)) {
      std::uint64_t again_ns = base::kNever;
      const bool stuck = LookForForeign(p, now, &again_ns);
      plan.At(again_ns);
      if (stuck) return;
      Ask(p, PreemptReason::kWakeup, since, now, plan);
      if (now < p->watch.asked_ns + base::kForeignAfterNs) return;
      continue;  // it doesn't answer: another one has to
    }
    const std::uint64_t start = p->run_start_ns.load(std::memory_order_relaxed);
    const std::uint64_t from = std::max(start + base::kWakeupGranularityNs,
                                        p->wakeup_allowed_ns.load(std::memory_order_relaxed));
    if (now < from) {
      plan.At(from);
    } else if (now - start >= longest_ns) {
      longest = p;
      longest_ns = now - start;
      due = std::max(since, from);  // not before it may be
    }
  }
  if (longest != nullptr) Ask(longest, PreemptReason::kWakeup, due, now, plan);
}

void LookAtTimers(std::uint64_t now, Plan& plan) {
  const std::uint64_t earliest = sched::EarliestTimerNs();
  if (earliest == base::kNever) return;
  if (g_sched.idle_ps.load(std::memory_order_seq_cst) != 0) {
    // The keeper minds them; without one, a P is started to.
    if (g_sched.keeper.load(std::memory_order_seq_cst) != nullptr) return;
    if (earliest > now) {
      plan.At(earliest);
      return;
    }
    P* p;
    {
      base::RuntimeLock lock(g_sched.lock);
      p = g_sched.stop_requested.load(std::memory_order_relaxed) ? nullptr
                                                                 : sched::TakeIdlePLocked();
    }
    if (p != nullptr) {
      p->attention.fetch_or(sched::kAttendTimer, std::memory_order_relaxed);
      sched::StartM(p, false);
      return;
    }
  }
  if (earliest > now) {
    plan.At(earliest);
  } else {
    PreemptForWakeup(earliest, now, plan);
  }
}

Plan LookAround() {
  const std::uint64_t now = base::NowNs();
  Plan plan{.made_ns = now};
  if (traceback::ClerkIsWanted()) traceback::StartClerk();
  if (g_sched.stop_requested.load(std::memory_order_relaxed)) {
    // Whoever stops the world asks by himself, and wakes us afterwards.
    return plan;
  }
  const int procs = g_sched.procs.load(std::memory_order_acquire);
  for (int i = 0; i < procs; ++i) {
    P* p = g_sched.all_ps[i];
    switch (p->status.load(std::memory_order_acquire)) {
      case PStatus::kRunning:
        LookAtRunning(p, now, plan);
        break;
      case PStatus::kSyscall:
        LookAtSyscall(p, now, plan);
        break;
      case PStatus::kIdle:
      case PStatus::kStopped:
        // On nobody's list: on its way to an M that is being started or woken, which tells nobody
        // when it gets there. Who waits for it to be preempted then must not be forgotten.
        if (!p->idle.load(std::memory_order_acquire)) plan.At(now + base::kRetryMaxNs);
        break;
      case PStatus::kDead:
        break;
    }
    if (p->status.load(std::memory_order_relaxed) != PStatus::kRunning) p->watch.stuck = false;
  }
  P* in_the_way;
  plan.At(RetireSpares(now, &in_the_way));
  if (in_the_way != nullptr) Ask(in_the_way, PreemptReason::kSlice, now, now, plan);
  LookAtTimers(now, plan);
  if (WokenWaits()) {
    PreemptForWakeup(g_sched.woken_since_ns.load(std::memory_order_relaxed), now, plan);
  }
  plan.At(LookForDeadlock(now));
  plan.At(TraceScheduler(now));
  plan.At(LookForStarving(now));
  plan.At(DateWaits(now));
  // Unknown, too, is what a library generates, and what is being closed.
  if (preempt::TakeUnknownTextSeen() && preempt::PreemptionMap::Stale()) {
    preempt::PreemptionMap::Rebuild();
  }
  return plan;
}

// Sleeps as the plan says, unless the world has changed since it was made.
void Sleep(Plan plan) {
  // An idle P may begin to run something at any time, and its slice must not be forgotten over a
  // timer that is far away.
  const bool watch = plan.watch || plan.next_ns > plan.made_ns + g_sched.settings.slice_ns;
  // seq_cst: pairs with NoteEarlierTimer and TakeIdlePLocked; then the timers are looked at again.
  g_sched.sysmon_until_ns.store(plan.next_ns, std::memory_order_seq_cst);
  if (watch) {
    g_sched.sysmon_watches.store(true, std::memory_order_relaxed);
    base::Membarrier();
  }
  const Plan again = LookAround();
  // A P may have turned overdue between the two looks: then the flag must be set first.
  const bool settled = again.next_ns >= plan.next_ns && (watch || !again.watch);
  if (settled && g_wake.load(std::memory_order_acquire) == 0) {
    sched::Record(trace::EventKind::kSysmonSleep, 0, plan.next_ns);
    base::FutexWaitUntil(&g_wake, 0, plan.next_ns);
    sched::Record(trace::EventKind::kSysmonWake);
  }
  g_sched.sysmon_watches.store(false, std::memory_order_relaxed);
  g_sched.sysmon_until_ns.store(0, std::memory_order_seq_cst);
}

// EEVDF lets a waking thread in at once if its slice, hence its deadline, is short. What the
// process was started with (its nice value, a real-time policy) stays.
void AskForShortKernelSlice() {
  struct {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
  } attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime = 100'000;
  // Linux 6.12 and later; without it nothing changes.
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void* Main(void*) {
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  AskForShortKernelSlice();
  sched::RecordAsSysmon();
  for (;;) {
    g_wake.store(0, std::memory_order_seq_cst);
    trace::AddShared(trace::Counter::kSysmonWakeups);
    Sleep(LookAround());
  }
}

}  // namespace

void Wake() {
  g_sched.sysmon_watches.store(false, std::memory_order_relaxed);
  if (g_wake.exchange(1, std::memory_order_seq_cst) == 0) base::FutexWake(&g_wake, 1);
}

void Start() {
  if (const int error = base::StartDetachedThread(Main, nullptr, "urge-sysmon"); error != 0) {
    throw std::system_error(error, std::generic_category(), "urge: can't start the sysmon thread");
  }
}

}  // namespace urge::sysmon

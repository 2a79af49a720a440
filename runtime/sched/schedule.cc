// The scheduler loop: choosing the next goroutine on g0. Source: Go's schedule, findRunnable,
// stealWork, runqput, runqputslow, globrunqget, execute.
//
// Order of the search: stop-the-world, own timers, the global queue on every 61st tick, what the
// goroutine stack already picked, next, victim, local ring, global queue, other Ps, going idle.

#include <algorithm>

#include "runtime/base/ticks.h"
#include "runtime/sched/switch.h"

namespace urge::sched {

Scheduler g_sched;

namespace {

struct Choice {
  G* gp = nullptr;
  bool inherit = false;
};

// The next of the global queues: those who woke first, but not for ever.
G* PopGlobalLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock) {
  const bool woken = !g_sched.woken.empty() &&
                     (g_sched.global.empty() || g_sched.woken_in_a_row < base::kMaxWakesInARow);
  g_sched.woken_in_a_row = woken ? g_sched.woken_in_a_row + 1 : 0;
  return (woken ? g_sched.woken : g_sched.global).PopFront();
}

G* TakeGlobal(P* p, std::int32_t max) {
  if (g_sched.global_size.load(std::memory_order_relaxed) == 0) return nullptr;
  base::RuntimeLock lock(g_sched.lock);
  return TakeGlobalLocked(p, max);
}

G* TakeWoken() {
  if (g_sched.global_size.load(std::memory_order_relaxed) == 0) return nullptr;
  base::RuntimeLock lock(g_sched.lock);
  if (g_sched.woken.empty() || g_sched.woken_in_a_row >= base::kMaxWakesInARow) return nullptr;
  ++g_sched.woken_in_a_row;
  G* gp = g_sched.woken.PopFront();
  PublishGlobalSizeLocked();
  return gp;
}

// The look at the global queue on every 61st tick. The goroutine that this M has just preempted is
// left alone if it is the head: it has had its slice, and picking it again made the 40 ms tail
// that Go shows.
G* TakeGlobalOnTick(M* m, P* p) {
  // Next inherits a slice and a victim goes on with its own: neither counts, as in Go's schedtick.
  if (p->queue.PeekNext() != nullptr || p->queue.HasVictim()) return nullptr;
  if (p->until_global > 1) {
    --p->until_global;
    return nullptr;
  }
  p->until_global = base::kGlobalQueueTick;
  if (g_sched.global_size.load(std::memory_order_relaxed) == 0) return nullptr;
  base::RuntimeLock lock(g_sched.lock);
  if (g_sched.woken.empty() && g_sched.global.head() == m->just_preempted && !p->queue.Empty()) {
    return nullptr;
  }
  return TakeGlobalLocked(p, 1);
}

// In randomize mode a queue's order is a coin's, to bring out programs that rely on it.
bool Shuffle(M* m) { return g_sched.settings.randomize && (Random(m) & 1) != 0; }

Choice TakeLocal(M* m, P* p) {
  if (m->next_g != nullptr) {
    const Choice choice{m->next_g, m->next_g_inherits};
    m->next_g = nullptr;
    return choice;
  }
  if (G* gp = p->queue.PopNext()) {
    if (!Shuffle(m)) return {gp, true};
    PutLocal(p, gp);
  }
  if (G* gp = p->queue.PopVictim()) return {gp, false};
  return {p->queue.Pop(), false};
}

// One round of visits to every P in a random order that reaches each once: a random start and a
// random stride coprime to the number of Ps. Source: Go's randomOrder.
class RandomOrder {
 public:
  RandomOrder(M* m, std::uint32_t count) : count_(count), at_(Random(m) % count) {
    do {
      stride_ = count == 1 ? 1 : 1 + Random(m) % (count - 1);
    } while (!Coprime(stride_, count));
  }
  std::uint32_t Next() {
    const std::uint32_t result = at_;
    at_ = (at_ + stride_) % count_;
    return result;
  }

 private:
  static bool Coprime(std::uint32_t a, std::uint32_t b) {
    while (b != 0) a = std::exchange(b, a % b);
    return a == 1;
  }
  std::uint32_t count_, at_, stride_ = 1;
};

void RecordSteal(const G* gp, const P* victim, std::uint32_t count) {
  Record(EventKind::kSteal, 0, gp->goid,
         static_cast<std::uint32_t>(victim->id) | std::uint64_t{count} << 32);
}

G* StealFrom(P* p, P* victim, bool last_round) {
  const std::uint32_t before = p->queue.RingSize();
  if (G* gp = victim->queue.StealHalfInto(p->queue)) {
    const std::uint32_t count = p->queue.RingSize() - before + 1;
    p->stats.Add(trace::Counter::kSteals);
    p->stats.Add(trace::Counter::kStolenGoroutines, count);
    RecordSteal(gp, victim, count);
    return gp;
  }
  if (!last_round) return nullptr;
  G* gp = victim->queue.StealVictim();
  if (gp == nullptr && victim->queue.PeekNext() != nullptr) {
    // Its owner has probably just readied it and is about to block; a moment's wait keeps the two
    // on one processor. Not while the owner is in a system call.
    if (victim->status.load(std::memory_order_relaxed) == PStatus::kRunning) {
      const std::uint64_t until = base::NowNs() + base::kStealRunnextBackoffNs;
      while (base::NowNs() < until) base::CpuRelax();
    }
    gp = victim->queue.StealNext();
  }
  if (gp != nullptr) {
    p->stats.Add(trace::Counter::kSteals);
    p->stats.Add(trace::Counter::kStolenGoroutines);
    RecordSteal(gp, victim, 1);
  }
  return gp;
}

G* Steal(M* m, P* p) {
  const auto procs = static_cast<std::uint32_t>(g_sched.procs.load(std::memory_order_acquire));
  for (int round = 0; round < base::kStealRounds; ++round) {
    const bool last = round == base::kStealRounds - 1;
    RandomOrder order(m, procs);
    for (std::uint32_t i = 0; i < procs; ++i) {
      if (g_sched.stop_requested.load(std::memory_order_relaxed)) return nullptr;
      P* victim = g_sched.all_ps[order.Next()];
      if (victim == p) continue;
      if (last) {
        const std::uint64_t earliest = victim->timers.earliest_ns();
        if (earliest != base::kNever) {
          if (m->clock_ns == 0) m->clock_ns = base::NowNs();
          if (earliest <= m->clock_ns && victim->timers.RunExpired(m->clock_ns) > 0) {
            const Choice choice = TakeLocal(m, p);
            if (choice.gp != nullptr) return choice.gp;
          }
        }
      }
      // An idle P has no work to steal.
      if (victim->idle.load(std::memory_order_relaxed)) continue;
      if (G* gp = StealFrom(p, victim, last)) return gp;
    }
  }
  return nullptr;
}

// Runs one timer that is due, so that the goroutine it wakes runs next, before a second one can
// push it to the tail of the ring, behind every hog. The others stay due, and the attention bit
// brings the owner back for them as soon as the woken one stops. A storm of wake-ups is served so
// only for a while: then all that are due queue up at the tail, and the victim gets its turn.
// Returns whether any was run.
bool RunExpiredTimers(M* m, bool of_all_ps) {
  P* p = m->p;
  const bool storm = ++p->wakes_in_a_row > base::kMaxWakesInARow;
  int ran = 0;
  const auto run = [&](TimerHeap& timers) {
    if (timers.earliest_ns() > m->clock_ns) return;
    ran += timers.RunExpired(m->clock_ns, storm ? TimerHeap::kAll : 1);
  };
  run(p->timers);
  if (of_all_ps) {
    const int procs = g_sched.procs.load(std::memory_order_acquire);
    for (int i = 0; i < procs && (storm || ran == 0); ++i) run(g_sched.all_ps[i]->timers);
  }
  const std::uint64_t earliest = of_all_ps ? EarliestTimerNs() : p->timers.earliest_ns();
  if (earliest <= m->clock_ns) p->attention.fetch_or(kAttendTimer, std::memory_order_relaxed);
  return ran != 0;
}

// What the M's P has for it to run, or the global queue: without a search elsewhere. None: null;
// then a spare P may be gone.
Choice FindOnP(M* m) {
  P* p = m->p;
  const std::uint32_t attention = p->attention.load(std::memory_order_relaxed);
  if (URGE_UNLIKELY(attention != 0)) {
    p->attention.fetch_and(~attention, std::memory_order_relaxed);
    if ((attention & kAttendMoved) != 0) g_sched.hooks.wake_sysmon();
    if ((attention & kAttendRetire) != 0 && RetireOwnP(m)) return {};
    if ((attention & kAttendSlice) != 0) {
      // The slice that next would inherit is over: it goes to the end of the line. Whoever a
      // timer wakes below comes first all the same.
      // Goroutines that run through next hand on one slice and make no ticks: a whole slice of
      // theirs is worth the look at the global queue that 61 ticks are.
      if (G* gp = p->queue.PopNext()) {
        PutLocal(p, gp);
        p->until_global = 1;
      }
    }
  }
  // Somebody's timer is due while every P is busy: this one was chosen to look at them all.
  const std::uint64_t earliest =
      (attention & kAttendTimer) != 0 ? EarliestTimerNs() : p->timers.earliest_ns();
  bool woke = false;
  if (earliest != base::kNever) {
    if (m->clock_ns == 0) m->clock_ns = base::NowNs();
    if (earliest <= m->clock_ns) {
      woke = RunExpiredTimers(m, (attention & kAttendTimer) != 0);
    } else {
      p->wakes_in_a_row = 0;
    }
  }
  if (m->next_g == nullptr) {
    if ((attention & kAttendTimer) != 0 && p->queue.PeekNext() == nullptr) {
      // Preempted for somebody who woke, and no timer has put anybody here: he is global.
      if (G* gp = TakeWoken()) return {gp, false};
    }
    if (G* gp = TakeGlobalOnTick(m, p)) return {gp, false};
  }
  if (const Choice choice = TakeLocal(m, p); choice.gp != nullptr) {
    // Who was woken by a timer begins a slice of its own: in what is left of the victim's it
    // could be asked to stop at once, and end up behind every hog.
    return {choice.gp, choice.inherit && !woke};
  }
  return {TakeGlobal(p, 0), false};
}

// Chooses a goroutine for the M, sleeping until there is one. On return the M has a P.
Choice FindRunnable(M* m) {
  for (;;) {
    if (g_sched.stop_requested.load(std::memory_order_relaxed)) {
      StopForWorld(m);
      continue;
    }
    if (const Choice choice = FindOnP(m); choice.gp != nullptr) return choice;
    P* p = m->p;
    if (p == nullptr) {
      StopM(m);
      continue;
    }
    // At most half as many thieves as busy Ps, so that idle machines don't burn CPU.
    // Go: 2*nmspinning < gomaxprocs - npidle.
    const std::int32_t procs = g_sched.procs.load(std::memory_order_relaxed);
    if (procs > 1 && (m->spinning || 2 * g_sched.spinning.load(std::memory_order_relaxed) <
                                         procs - g_sched.idle_ps.load(std::memory_order_relaxed))) {
      if (!m->spinning) {
        m->spinning = true;
        g_sched.spinning.fetch_add(1, std::memory_order_relaxed);
      }
      if (G* gp = Steal(m, p)) return {gp, false};
    }
    if (G* gp = GoIdle(m)) return {gp, false};
  }
}

// A spinning M has found work: it must not go on counting as a searcher, and the last one that
// leaves the search starts another, since there may be more. Go: resetspinning
void StopSpinning(M* m) {
  m->spinning = false;
  // seq_cst (RMW): orders this before WakeP's look at the idle list.
  if (g_sched.spinning.fetch_sub(1, std::memory_order_seq_cst) == 1 &&
      g_sched.idle_ps.load(std::memory_order_relaxed) != 0) {
    WakeP();
  }
}

// Runs gp until some goroutine switches back to g0. Go: execute
void Execute(M* m, Choice choice) {
  G* gp = choice.gp;
  P* p = m->p;
  BookRunning(m, p, gp, choice.inherit);
  // Anew, if the goroutine before it was preempted: what that cost belongs to nobody's slice.
  if ((gp->needs_g0 & kNeedsDating) != 0) m->clock_ns = base::NowNs();
  if (m->clock_ns != 0) {
    // The clock has been read on the way: date the run, and the slice unless it is inherited.
    const std::uint64_t now = m->clock_ns;
    p->run_start_ns.store(now, std::memory_order_relaxed);
    p->run_switch.store(p->switches.load(std::memory_order_relaxed), std::memory_order_relaxed);
    if (!choice.inherit) {
      const std::uint64_t start = now - gp->slice_used_ns;
      if (gp->slice_used_ns != 0) {
        // Back from a wake-up: at least as long as it was away, and the granularity, belong to it.
        const std::uint64_t away = gp->taken_at_ns == 0 ? 0 : now - gp->taken_at_ns;
        p->wakeup_allowed_ns.store(now + std::max(base::kWakeupGranularityNs, away),
                                   std::memory_order_relaxed);
      }
      p->slice_start_ns.store(start, std::memory_order_relaxed);
      p->slice_tick.store(p->tick.load(std::memory_order_relaxed), std::memory_order_relaxed);
      if ((gp->wants_signal.load(std::memory_order_relaxed) || g_sched.settings.timed_slices) &&
          g_sched.hooks.slice_begins != nullptr) {
        g_sched.hooks.slice_begins(m, start + g_sched.settings.slice_ns);
      }
    }
    m->clock_ns = 0;
  }
  if (gp->needs_g0 != 0) {
    if ((gp->needs_g0 & kNeedsTiming) != 0) {
      p->stats.Record(trace::Latency::kWakeupToRun,
                      base::NsOfTicks(base::Ticks() - gp->ready_ticks));
    }
    gp->needs_g0 &= ~(kNeedsDating | kNeedsTiming);
    gp->slice_used_ns = 0;
  }
  // What is left waits for this P, or for any: who queued it may have seen a searching M and an
  // idle P, and sysmon, which went to sleep then, no reason to stay awake.
  if (!p->queue.Empty() || g_sched.global_size.load(std::memory_order_relaxed) != 0) NoteQueued();
  if (p->preempt_requeued_ticks != 0) {
    trace::RecordNextRunning(p->stats, p->preempt_due_ticks,
                             std::exchange(p->preempt_requeued_ticks, 0), base::Ticks());
  }
  if (URGE_UNLIKELY(IsRecording(p))) RecordStart(m, p, gp);
  LoadThreadState(m, gp);
  SwitchStacks(m, nullptr, gp, nullptr, nullptr);
}

// Resumes a goroutine whose preemption was called off: the same run of the same slice, with its
// request still pending.
void GoOn(M* m, G* gp) {
  m->curg.store(gp, std::memory_order_release);
  m->clock_ns = 0;
  LoadThreadState(m, gp);
  SwitchStacks(m, nullptr, gp, nullptr, nullptr);
}

}  // namespace

G* TakeGlobalLocked(P* p, std::int32_t max) {
  std::int32_t n = g_sched.global.size() + g_sched.woken.size();
  if (n == 0) return nullptr;
  if (max == 0) {
    const std::int32_t procs = g_sched.procs.load(std::memory_order_relaxed);
    max = std::min<std::int32_t>(n / procs + 1, base::kRunQueueSlots / 2);
  }
  n = std::min(n, max);
  G* first = PopGlobalLocked();
  for (std::int32_t i = 1; i < n; ++i) {
    G* gp = PopGlobalLocked();
    if (!p->queue.TryPush(gp)) {
      g_sched.global.PushFront(gp);
      break;
    }
  }
  PublishGlobalSizeLocked();
  return first;
}

void PublishGlobalSizeLocked() {
  g_sched.global_size.store(g_sched.global.size() + g_sched.woken.size(),
                            std::memory_order_relaxed);
}

void PutGlobalLocked(G* gp) {
  g_sched.global.PushBack(gp);
  PublishGlobalSizeLocked();
}

void PutGlobal(G* gp) {
  base::RuntimeLock lock(g_sched.lock);
  PutGlobalLocked(gp);
}

void PutWoken(G* gp) {
  bool busy;
  {
    base::RuntimeLock lock(g_sched.lock);
    busy = g_sched.settings.wakeup_preempt && g_sched.idle_ps.load(std::memory_order_relaxed) == 0;
    (busy ? g_sched.woken : g_sched.global).PushBack(gp);
    PublishGlobalSizeLocked();
  }
  WakePIfIdle();
  if (!busy) {
    NoteQueued();
  } else if (!g_sched.woken_waits.load(std::memory_order_relaxed)) {
    g_sched.woken_since_ns.store(base::NowNs(), std::memory_order_relaxed);
    if (g_sched.woken_waits.exchange(true)) return;
    // sysmon knows who has run longest.
    g_sched.hooks.wake_sysmon();
  }
}

void PutLocal(P* p, G* gp) {
  while (URGE_UNLIKELY(!p->queue.TryPush(gp))) {
    GQueue batch;
    if (!p->queue.TakeHalf(batch)) continue;
    batch.PushBack(gp);
    base::RuntimeLock lock(g_sched.lock);
    g_sched.global.Append(batch);
    PublishGlobalSizeLocked();
    return;
  }
}

void PutNext(P* p, G* gp) {
  if (URGE_UNLIKELY(g_sched.settings.randomize)) {
    M* m = CurrentM();
    if (Shuffle(m)) {
      PutLocal(p, gp);
      return;
    }
  }
  G* displaced = p->solo.load(std::memory_order_relaxed) ? p->queue.ReplaceNextUncontended(gp)
                                                         : p->queue.ReplaceNext(gp);
  if (displaced != nullptr) PutLocal(p, displaced);
}

void ScheduleLoop(M* m) {
  for (;;) {
    if (URGE_UNLIKELY(m->go_on_g != nullptr)) {
      GoOn(m, std::exchange(m->go_on_g, nullptr));
      continue;
    }
    if (URGE_UNLIKELY(m->exiting)) return;
    if (URGE_UNLIKELY(m->lockedg != nullptr)) {
      // Only its wired goroutine may run here. Whoever comes next gets the P at once, or his thread
      // does: an M woken only to find out who that is would cost a second wake-up.
      Choice choice;
      if (m->p != nullptr && !g_sched.stop_requested.load(std::memory_order_relaxed)) {
        choice = FindOnP(m);
        m->just_preempted = nullptr;
      }
      if (choice.gp != m->lockedg) {
        StopWiredM(m, choice.gp, choice.inherit);
        choice = {m->lockedg, false};
      }
      Execute(m, choice);
      continue;
    }
    const Choice choice = FindRunnable(m);
    m->just_preempted = nullptr;
    if (m->spinning) StopSpinning(m);
    M* wired_to = choice.gp->wired_m.load(std::memory_order_relaxed);
    if (URGE_UNLIKELY(wired_to != nullptr && wired_to != m)) {
      StartWiredM(m, choice.gp);
      continue;
    }
    Execute(m, choice);
  }
}

}  // namespace urge::sched

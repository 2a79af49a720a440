// Ms and Ps coming and going: who sleeps, who wakes whom, who minds the timers.
// Source: Go's wakep, startm, stopm, handoffp, pidleget, gcstopm, stoplockedm, startlockedm,
// checkdead, and the tail of findRunnable.
//
// No work is left lying while a P is idle
//   A submitter stores the goroutine into a queue, then loads idle_ps and spinning: if a P is idle
//   and nobody spins it wakes an M. An M that finds nothing puts its P on the idle list, leaves the
//   search (spinning - 1), and then looks at every queue once more. Were the submitter's store and
//   loads reordered, each could miss the other. The submitter's path is hot, so the M pays: it
//   issues membarrier between its announcement and its second look. Either the submitter's store
//   is visible to that look, or its loads come after the announcement and it wakes somebody.
//   An M that gives its P up without having spun needs no second look: then others spin, and the
//   last of them looks.
//
// No timer is missed
//   While a P is idle one sleeping M is the keeper: it sleeps until the earliest timer of all Ps.
//   Without keeper or idle P sysmon does. Whoever arms an earlier timer, or takes the last idle P,
//   tells the one in charge. All these words are seq_cst: "store my deadline, then load the
//   timers" against "store the timer, then load the deadline".

#include "runtime/sched/switch.h"

namespace urge::sched {
namespace {

// park_word values.
constexpr std::uint32_t kAsleep = 0;
constexpr std::uint32_t kGivenP = 1;
constexpr std::uint32_t kLookAgain = 2;  // keeper: there is an earlier timer

void WakeSysmonForTimers() {
  if (EarliestTimerNs() < g_sched.sysmon_until_ns.load(std::memory_order_seq_cst)) {
    g_sched.hooks.wake_sysmon();
  }
}

void ResignAsKeeper(M* m) {
  M* self = m;
  if (g_sched.keeper.compare_exchange_strong(self, nullptr, std::memory_order_seq_cst)) {
    WakeSysmonForTimers();
  }
}

// The keeper's sleep is over because a timer is due: it takes an idle P to run it. Returns whether
// the M has a P now.
bool KeeperTakesP(M* m) {
  P* p = nullptr;
  {
    base::RuntimeLock lock(g_sched.lock);
    // Somebody may have taken the M off the list meanwhile: a P is on its way then.
    if (g_sched.idle_ms.Remove(m)) {
      p = TakeIdlePLocked();
      if (p == nullptr) g_sched.idle_ms.Push(m);
    }
  }
  if (p == nullptr) {
    ResignAsKeeper(m);  // every P is busy: sysmon preempts one
    return false;
  }
  AcquireP(m, p);
  p->attention.fetch_or(kAttendTimer, std::memory_order_relaxed);
  return true;
}

// Sleeps until the M has a P.
void SleepUntilP(M* m) {
  bool keeper = false;
  for (;;) {
    if (!keeper && g_sched.idle_ps.load(std::memory_order_relaxed) != 0) {
      M* none = nullptr;
      keeper = g_sched.keeper.compare_exchange_strong(none, m, std::memory_order_seq_cst);
    }
    std::uint64_t until = base::kNever;
    if (keeper) {
      until = EarliestTimerNs();
      g_sched.keeper_until_ns.store(until, std::memory_order_seq_cst);
      if (EarliestTimerNs() < until) continue;
    }
    if (until != base::kNever && until <= base::NowNs()) {
      keeper = false;
      if (KeeperTakesP(m)) break;
      continue;
    }
    base::FutexWaitUntil(&m->park_word, kAsleep, until);
    std::uint32_t word = m->park_word.load(std::memory_order_acquire);
    if (word == kLookAgain &&
        m->park_word.compare_exchange_strong(word, kAsleep, std::memory_order_acquire)) {
      continue;
    }
    if (word == kGivenP) {
      m->park_word.store(kAsleep, std::memory_order_relaxed);
      AcquireP(m, std::exchange(m->next_p, nullptr));
      break;
    }
  }
  ResignAsKeeper(m);
  // A visit to the kernel is dear anyway: date what runs next.
  m->clock_ns = base::NowNs();
}

// After the announcement: is there anything to run after all? If so takes an idle P for it.
bool FindsWorkAfterAll(M* m) {
  const int procs = g_sched.procs.load(std::memory_order_acquire);
  bool work = g_sched.global_size.load(std::memory_order_relaxed) != 0;
  for (int i = 0; i < procs && !work; ++i) work = !g_sched.all_ps[i]->queue.Empty();
  if (!work) return false;
  P* p;
  {
    base::RuntimeLock lock(g_sched.lock);
    p = TakeIdlePLocked();
  }
  if (p == nullptr) {
    // Whoever took it may run for long, and who queued the work may have relied on us.
    g_sched.need_spinning.store(true, std::memory_order_relaxed);
    NoteQueued();
    return false;
  }
  AcquireP(m, p);
  m->spinning = true;
  g_sched.spinning.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void GiveP(M* m, P* p, bool spinning) {
  URGE_CHECK(m->next_p == nullptr);
  // Only then: a wired M may be given a P while it is still on its way to sleep, looking.
  if (spinning) m->spinning = true;
  m->next_p = p;
  WakeM(m);
}

// Gives p to an M that waits for its wired goroutine, which runs next.
void GiveWiredM(M* wired, P* p) {
  {
    // May come before the other M's own count: what matters is that the sum never counts it as
    // asleep while a P is on its way to it.
    base::RuntimeLock lock(g_sched.lock);
    --g_sched.locked_idle_ms;
  }
  GiveP(wired, p, false);
}

}  // namespace

void WakeM(M* m) {
  // release: pairs with the sleeper's acquire; publishes next_p.
  m->park_word.store(kGivenP, std::memory_order_release);
  base::FutexWake(&m->park_word, 1);
}

void PutIdlePLocked(P* p) {
  p->m.store(nullptr, std::memory_order_relaxed);
  p->preempt_requeued_ticks = 0;  // nobody runs next
  p->status.store(PStatus::kIdle, std::memory_order_release);
  p->link = g_sched.idle_p_list;
  g_sched.idle_p_list = p;
  p->idle.store(true, std::memory_order_relaxed);
  g_sched.idle_ps.fetch_add(1, std::memory_order_seq_cst);
}

P* TakeIdlePLocked() {
  P* p = g_sched.idle_p_list;
  if (p == nullptr) return nullptr;
  g_sched.idle_p_list = p->link;
  p->link = nullptr;
  p->idle.store(false, std::memory_order_relaxed);
  // The last idle P: from now on sysmon minds the timers.
  if (g_sched.idle_ps.fetch_sub(1, std::memory_order_seq_cst) == 1) WakeSysmonForTimers();
  return p;
}

bool TakeFromIdleLocked(P* wanted) {
  if (!wanted->idle.load(std::memory_order_relaxed)) return false;
  // To the head of the list first.
  P** at = &g_sched.idle_p_list;
  while (*at != wanted) at = &(*at)->link;
  *at = wanted->link;
  wanted->link = g_sched.idle_p_list;
  g_sched.idle_p_list = wanted;
  return TakeIdlePLocked() == wanted;
}

void AcquireP(M* m, P* p) {
  URGE_CHECK(m->p == nullptr);
  m->p = p;
  NoteOwned(p);
  p->m.store(m, std::memory_order_relaxed);
  p->status.store(PStatus::kRunning, std::memory_order_release);
  SyncRecording(p);
  Record(EventKind::kProcStart);
}

P* ReleaseP(M* m) {
  P* p = m->p;
  Record(EventKind::kProcStop);
  m->p = nullptr;
  p->m.store(nullptr, std::memory_order_relaxed);
  NoteUnowned(p);
  return p;
}

void StartM(P* p, bool spinning, G* next, bool inherits) {
  M* m;
  {
    base::RuntimeLock lock(g_sched.lock);
    m = g_sched.idle_ms.Pop();
  }
  if (m == nullptr) {
    StartThread(p, spinning, next, inherits);
    return;
  }
  // Nobody else touches a sleeping M; it sees this with next_p.
  m->next_g = next;
  m->next_g_inherits = inherits;
  GiveP(m, p, spinning);
}

void WakeP() {
  std::int32_t none = 0;
  // At most one searcher is started at a time; it starts the next when it finds work.
  if (!g_sched.spinning.compare_exchange_strong(none, 1, std::memory_order_seq_cst)) return;
  P* p;
  M* m = nullptr;
  {
    base::RuntimeLock lock(g_sched.lock);
    p = TakeIdlePLocked();
    if (p != nullptr) m = g_sched.idle_ms.Pop();
  }
  if (p == nullptr) {
    g_sched.spinning.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  if (m == nullptr) {
    StartThread(p, true);
  } else {
    GiveP(m, p, true);
  }
}

void NoteStoppedLocked() {
  if (--g_sched.stop_wait != 0) return;
  g_sched.stop_note.store(1, std::memory_order_release);
  base::FutexWake(&g_sched.stop_note, 1);
}

void HandOffP(P* p) {
  RecordOn(p, EventKind::kProcHandOff);
  if (!p->queue.Empty() || g_sched.global_size.load(std::memory_order_relaxed) != 0) {
    StartM(p, false);
    return;
  }
  // Nobody searches and nobody is idle: work may turn up elsewhere, so somebody should look.
  std::int32_t none = 0;
  if (g_sched.spinning.load(std::memory_order_relaxed) +
              g_sched.idle_ps.load(std::memory_order_relaxed) ==
          0 &&
      g_sched.procs.load(std::memory_order_relaxed) > 1 &&
      g_sched.spinning.compare_exchange_strong(none, 1, std::memory_order_seq_cst)) {
    g_sched.need_spinning.store(false, std::memory_order_relaxed);
    StartM(p, true);
    return;
  }
  bool start = false;
  {
    base::RuntimeLock lock(g_sched.lock);
    if (g_sched.stop_requested.load(std::memory_order_relaxed)) {
      p->status.store(PStatus::kStopped, std::memory_order_relaxed);
      NoteStoppedLocked();
      return;
    }
    start = g_sched.global_size.load(std::memory_order_relaxed) != 0;
    if (!start) PutIdlePLocked(p);
  }
  if (start) {
    StartM(p, false);
    return;
  }
  const std::uint64_t earliest = p->timers.earliest_ns();
  if (earliest != base::kNever) NoteEarlierTimer(earliest);
}

void StopM(M* m) {
  {
    base::RuntimeLock lock(g_sched.lock);
    g_sched.idle_ms.Push(m);
    CheckAllAsleepLocked();
  }
  Record(EventKind::kThreadPark);
  SleepUntilP(m);
  Record(EventKind::kThreadUnpark);
}

G* GoIdle(M* m) {
  bool spun = m->spinning;
  {
    base::RuntimeLock lock(g_sched.lock);
    if (g_sched.stop_requested.load(std::memory_order_relaxed)) return nullptr;
    if (g_sched.global_size.load(std::memory_order_relaxed) != 0) return TakeGlobalLocked(m->p, 1);
    if (!spun && g_sched.need_spinning.load(std::memory_order_relaxed)) {
      // Work was seen when no P was free: search once more. Go: sched.needspinning
      g_sched.need_spinning.store(false, std::memory_order_relaxed);
      m->spinning = true;
      g_sched.spinning.fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    PutIdlePLocked(ReleaseP(m));
  }
  if (spun) {
    m->spinning = false;
    // seq_cst (RMW), then membarrier: see the top of the file.
    g_sched.spinning.fetch_sub(1, std::memory_order_seq_cst);
    base::Membarrier();
    if (FindsWorkAfterAll(m)) return nullptr;
  }
  const std::uint64_t earliest = EarliestTimerNs();
  if (earliest != base::kNever && g_sched.keeper.load(std::memory_order_seq_cst) != nullptr) {
    NoteEarlierTimer(earliest);
  }
  TrimFreeStacks();
  StopM(m);
  return nullptr;
}

void StopForWorld(M* m) {
  {
    base::RuntimeLock lock(g_sched.lock);
    if (!g_sched.stop_requested.load(std::memory_order_relaxed)) return;
    if (m->spinning) {
      m->spinning = false;
      g_sched.spinning.fetch_sub(1, std::memory_order_relaxed);
    }
    // What the goroutine's stack had picked goes back: another M may come for this P.
    P* p = ReleaseP(m);
    p->preempt_requeued_ticks = 0;
    if (m->next_g != nullptr) PutGlobalLocked(std::exchange(m->next_g, nullptr));
    p->status.store(PStatus::kStopped, std::memory_order_relaxed);
    NoteStoppedLocked();
  }
  StopM(m);
}

void StopWiredM(M* m, G* next, bool inherits) {
  if (m->next_g != nullptr) PutGlobal(std::exchange(m->next_g, nullptr));
  if (m->spinning) {
    m->spinning = false;
    g_sched.spinning.fetch_sub(1, std::memory_order_relaxed);
  }
  if (m->p != nullptr) {
    P* p = ReleaseP(m);
    if (next == nullptr) {
      HandOffP(p);
    } else if (M* wired = next->wired_m.load(std::memory_order_relaxed)) {
      GiveWiredM(wired, p);
    } else {
      StartM(p, false, next, inherits);
    }
  }
  {
    base::RuntimeLock lock(g_sched.lock);
    ++g_sched.locked_idle_ms;
    CheckAllAsleepLocked();
  }
  Record(EventKind::kThreadPark, 1);
  while (m->park_word.load(std::memory_order_acquire) != kGivenP) {
    base::FutexWait(&m->park_word, kAsleep);
  }
  Record(EventKind::kThreadUnpark);
  m->park_word.store(kAsleep, std::memory_order_relaxed);
  AcquireP(m, std::exchange(m->next_p, nullptr));
  m->clock_ns = base::NowNs();
}

void StartWiredM(M* m, G* gp) {
  GiveWiredM(gp->wired_m.load(std::memory_order_relaxed), ReleaseP(m));
  StopM(m);
}

std::uint64_t EarliestTimerNs() {
  std::uint64_t earliest = base::kNever;
  const int procs = g_sched.procs.load(std::memory_order_acquire);
  for (int i = 0; i < procs; ++i) {
    earliest = std::min(earliest, g_sched.all_ps[i]->timers.earliest_ns());
  }
  return earliest;
}

void NoteEarlierTimer(std::uint64_t when_ns) {
  M* keeper = g_sched.keeper.load(std::memory_order_seq_cst);
  if (keeper != nullptr && g_sched.idle_ps.load(std::memory_order_seq_cst) != 0) {
    if (when_ns >= g_sched.keeper_until_ns.load(std::memory_order_seq_cst)) return;
    std::uint32_t asleep = kAsleep;
    if (keeper->park_word.compare_exchange_strong(asleep, kLookAgain, std::memory_order_release)) {
      base::FutexWake(&keeper->park_word, 1);
    }
    return;
  }
  if (when_ns < g_sched.sysmon_until_ns.load(std::memory_order_seq_cst))
    g_sched.hooks.wake_sysmon();
}

bool AllAsleepLocked() {
  return g_sched.threads == g_sched.idle_ms.size() + g_sched.locked_idle_ms &&
         g_sched.blocked_threads.load(std::memory_order_relaxed) > 0 &&
         g_sched.global_size.load(std::memory_order_relaxed) == 0 &&
         g_sched.idle_ps.load(std::memory_order_relaxed) ==
             g_sched.procs.load(std::memory_order_relaxed) &&
         EarliestTimerNs() == base::kNever;
}

void CheckAllAsleepLocked() {
  if (!AllAsleepLocked() || g_sched.suspect_deadlock.exchange(true)) return;
  g_sched.hooks.wake_sysmon();
}

}  // namespace urge::sched

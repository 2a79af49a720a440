// The scheduler's global state, and what each file of this layer offers the others.
//
// Reading order: status.h, g.h m.h p.h, run_queue.h, this file, switch.h, park.cc, schedule.cc,
// idle.cc, newproc.cc, syscall.cc, timer.cc, thread.cc, init.cc.

#ifndef URGE_RUNTIME_SCHED_SCHED_H_
#define URGE_RUNTIME_SCHED_SCHED_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/check.h"
#include "runtime/base/config.h"
#include "runtime/base/lock.h"
#include "runtime/base/os.h"
#include "runtime/base/ticks.h"
#include "runtime/sched/g.h"
#include "runtime/sched/m.h"
#include "runtime/sched/p.h"
#include "runtime/sched/run_queue.h"

namespace urge::sched {

// What start() settled; constant afterwards.
struct Settings {
  std::uint64_t slice_ns = base::kSliceNs;
  bool cooperative_preempt = true;
  bool async_preempt = true;
  bool wakeup_preempt = true;
  std::size_t stack_bytes = base::kStackBytes;
  std::size_t max_stack_bytes = base::kMaxStackBytes;
  int preempt_signal = 0;
  bool randomize = false;     // URGE_DEBUG=randomize=1: shuffle scheduling, to find races in users
  std::uint64_t seed = 0;     // URGE_DEBUG=seed=N
  bool timed_slices = false;  // URGE_DEBUG=preempttimer=1: by its own thread's timer, each
  bool preempt_prologues = false;   // URGE_DEBUG=preemptprologue=1: stop at each prologue
  int ancestors = 0;                // URGE_DEBUG=tracebackancestors=N
  std::uint64_t schedtrace_ns = 0;  // URGE_DEBUG=schedtrace=MS
  bool scheddetail = false;         // URGE_DEBUG=scheddetail=1
  std::uint64_t stall_ns = 0;       // URGE_DEBUG=stall=5ms; 0: stalls are not looked for
};

// Set by higher layers before the first M starts; constant afterwards. This is how preempt/ and
// sysmon/ take part without being included from here.
struct Hooks {
  void (*thread_started)(M*) = nullptr;  // on the new thread, signals blocked
  void (*thread_exiting)(M*) = nullptr;  // on the thread, before its TCB can be reused
  // Asks for the preemption of whoever runs on p, which was due at due_ns, 0: now. Any thread.
  bool (*request_preemption)(P* p, PreemptReason reason, std::uint64_t due_ns) = nullptr;
  // A P is about to run a goroutine for a new slice that ends at the given time.
  void (*slice_begins)(M*, std::uint64_t end_ns) = nullptr;
  void (*wake_sysmon)() = nullptr;
};

struct alignas(base::kCacheLine) Scheduler {
  // --- Read on fast paths, written rarely ---
  std::atomic<std::int32_t> idle_ps{0};   // [a] Go: npidle
  std::atomic<std::int32_t> spinning{0};  // [a] Ms that look for work. Go: nmspinning
  // [a] sysmon sleeps and must hear of new work. See NoteQueued().
  std::atomic<bool> sysmon_watches{false};
  std::atomic<std::uint64_t> sysmon_until_ns{base::kNever};  // [a] how long sysmon sleeps
  std::atomic<std::int32_t> global_size{0};                  // [s] written; read anywhere as a hint
  std::atomic<std::int32_t> procs{0};        // [w], or [s] for spare ones; acquire finds them
  std::atomic<bool> stop_requested{false};   // [s] written. Go: sched.gcwaiting
  std::atomic<std::int32_t> spare_ps{0};     // [s] written; of `procs`
  std::atomic<std::uint64_t> timed_from{0};  // [a] base::Ticks(); 0: Ps' time isn't kept
  std::int32_t stuck_ps ABSL_GUARDED_BY(lock) = 0;  // Ps that spare ones stand in for

  Settings settings;                // [c]
  Hooks hooks;                      // [c]
  P* all_ps[base::kMaxProcs] = {};  // [w] never shrinks: Ps are reused

  alignas(base::kCacheLine) base::RuntimeMutex lock{base::LockRank::kSched};
  GQueue global ABSL_GUARDED_BY(lock);
  // Readied by threads without a P while every P was busy: served before `global`, within bounds.
  GQueue woken ABSL_GUARDED_BY(lock);
  std::uint32_t woken_in_a_row ABSL_GUARDED_BY(lock) = 0;
  std::atomic<bool> woken_waits{false};          // [a] sysmon shall preempt somebody for `woken`
  std::atomic<std::uint64_t> woken_since_ns{0};  // [a] and since when, written before that
  P* idle_p_list ABSL_GUARDED_BY(lock) = nullptr;
  base::Stack<M, &M::link> idle_ms ABSL_GUARDED_BY(lock);
  std::int32_t threads ABSL_GUARDED_BY(lock) = 0;         // Ms alive
  std::int32_t locked_idle_ms ABSL_GUARDED_BY(lock) = 0;  // Ms that wait for their wired goroutine
  // Goroutines that have a thread each because they were preempted inside thread-bound code.
  std::atomic<std::int32_t> wired_by_frame{0};
  std::int32_t stop_wait ABSL_GUARDED_BY(lock) = 0;          // Ps that have not stopped yet
  std::atomic<std::uint32_t> stop_note{0};                   // [a] futex: the last P has stopped
  std::atomic<bool> need_spinning{false};                    // [a] Go: sched.needspinning
  std::atomic<M*> keeper{nullptr};                           // [a] the idle M that minds the timers
  std::atomic<std::uint64_t> keeper_until_ns{base::kNever};  // [a]
  std::atomic<std::uint64_t> goid_source{1};                 // [a] next batch
  std::atomic<std::int32_t> blocked_threads{0};  // [a] plain threads that wait inside our API
  std::atomic<std::int32_t> own_threads{1};      // [a] sysmon and others that never run goroutines
  sigset_t base_mask{};                          // [c] signal mask of goroutines
  std::atomic<M*> all_ms{nullptr};               // [a] push-only list
  std::atomic<bool> suspect_deadlock{false};     // [a] the last M fell asleep: sysmon shall look
};

extern Scheduler g_sched;

// --- transitions ---
// The only writer of G::status. Checks that the move is legal and that the goroutine is where the
// caller thinks. release: whoever sees the new state sees what led to it.
inline void Transition(G* gp, GStatus from, GStatus to) {
  URGE_DCHECK((LegalTargets(from) >> static_cast<unsigned>(to)) & 1);
  URGE_CHECK_MSG(gp->status.load(std::memory_order_relaxed) == from,
                 "goroutine is not in the state its owner believes");
  gp->status.store(to, std::memory_order_release);
}

// The guard of a goroutine that nobody asks to stop.
inline std::uintptr_t GuardAtRest(const G* gp) {
  return URGE_UNLIKELY(g_sched.settings.preempt_prologues) ? kStackPreempt : gp->true_guard;
}

// --- newproc.cc ---
// Makes a runnable goroutine's first frame, puts it where it runs next.  Go: newproc1
void FreeGoroutine(P* p, G* gp);  // Go: gfput
// Gives deep pages of some free stacks back to the system. Runs on: g0 of an M without work.
void TrimFreeStacks();
std::uint64_t CountGoroutines();
// Calls visit(gp) for every goroutine ever made, dead ones too.
G* FirstGoroutine();

// --- schedule.cc ---
// The scheduler loop of one M, on g0. Returns when the thread is to end.
void ScheduleLoop(M* m);
// global_size covers both global queues.
void PublishGlobalSizeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);
// Puts gp on the global queue's tail.
void PutGlobalLocked(G* gp) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);
void PutGlobal(G* gp);
// Takes up to `max` from the global queues: one to run, the others into p's ring.
// 0: a fair share, n/procs + 1 but at most half a ring. Go: globrunqget
G* TakeGlobalLocked(P* p, std::int32_t max) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);
// Queues a goroutine that has just become runnable, from a thread without a P.
void PutWoken(G* gp);
// Puts gp at the tail of p's ring; half of a full ring overflows to the global queue. Go: runqput
void PutLocal(P* p, G* gp);
// Puts gp where p runs it next; the displaced goroutine goes to the tail.
void PutNext(P* p, G* gp);

// --- idle.cc ---
// Wakes or starts an M for an idle P, if there is one and nobody spins already.  Go: wakep
void WakeP();
inline void WakePIfIdle() {
  // relaxed: the Dekker race with an M that gives its P up is closed on that side, by a
  // membarrier between its announcement and its last look at the queues (idle.cc, GoIdle).
  if (g_sched.idle_ps.load(std::memory_order_relaxed) != 0 &&
      g_sched.spinning.load(std::memory_order_relaxed) == 0) {
    WakeP();
  }
}
// Tells a sleeping sysmon that something waits for a processor. Costs one load otherwise; the
// race with sysmon's going to sleep is closed by its membarrier (sysmon/sysmon.cc).
inline void NoteQueued() {
  if (URGE_UNLIKELY(g_sched.sysmon_watches.load(std::memory_order_relaxed))) {
    g_sched.hooks.wake_sysmon();
  }
}
// Runs p on some M, new if need be; `next` first, unless it is null.  Go: startm
void StartM(P* p, bool spinning, G* next = nullptr, bool inherits = false);
// Gives p to an M if it has or may get work, else makes it idle.  Go: handoffp
void HandOffP(P* p);
void PutIdlePLocked(P* p) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);
// Takes this one off the list; false if it isn't there.
bool TakeFromIdleLocked(P* p) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);
P* TakeIdlePLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);
void AcquireP(M* m, P* p);
P* ReleaseP(M* m);
// The P has lost, or found, an owner: when somebody wants to know its load (observe/look.h), the
// time without one is kept. In one word, so that any thread can read it: the time so far, less the
// present while the P has no owner, which makes it negative. 0: nothing noted yet.
inline void NoteUnowned(P* p) {
  if (URGE_LIKELY(g_sched.timed_from.load(std::memory_order_relaxed) == 0)) return;
  const auto now = static_cast<std::int64_t>(base::Ticks());
  const std::int64_t ticks = p->unowned_ticks.load(std::memory_order_relaxed);
  if (ticks >= 0) p->unowned_ticks.store(ticks - now, std::memory_order_relaxed);
}
inline void NoteOwned(P* p) {
  const auto from = static_cast<std::int64_t>(g_sched.timed_from.load(std::memory_order_relaxed));
  if (URGE_LIKELY(from == 0)) return;
  const auto now = static_cast<std::int64_t>(base::Ticks());
  const std::int64_t ticks = p->unowned_ticks.load(std::memory_order_relaxed);
  if (ticks > 0) return;  // it was lost before anybody wanted to know
  p->unowned_ticks.store((ticks == 0 ? -from : ticks) + now, std::memory_order_relaxed);
}
// Sleeps until the M is given a P (next_p), which it then owns.  Go: stopm
void StopM(M* m);
// Gives the M's P up, since it found no work; returns with a P again and maybe a goroutine.
G* GoIdle(M* m);
// One more P has stopped; the last one wakes the stopper.
void NoteStoppedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);
void StopSyscallPLocked(P* p) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);
// Stops for stop-the-world; returns with a P.  Go: gcstopm
void StopForWorld(M* m);
// The M gives its P up, to run `next` if that is not null, and waits until somebody hands it its
// wired goroutine's P.  Go: stoplockedm
void StopWiredM(M* m, G* next, bool inherits);
// Hands the M's P to the M that gp is wired to, and stops.  Go: startlockedm
void StartWiredM(M* m, G* gp);
// Over all Ps; kNever if there is no timer.
std::uint64_t EarliestTimerNs();
// Tells whoever minds the timers of one that is due earlier than it sleeps.
void NoteEarlierTimer(std::uint64_t when_ns);
// Is every M asleep, with no timer to wake one, while somebody waits?  Go: checkdead
bool AllAsleepLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);
// If so, has sysmon look again in a while and report.
void CheckAllAsleepLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);

// --- spare.cc ---
// How many Ps there shall be.
inline int WantedProcs() {
  return g_sched.procs.load(std::memory_order_relaxed) -
         g_sched.spare_ps.load(std::memory_order_relaxed);
}
// From now on whoever uses a queue expects thieves. Runs on: sysmon.
void EndSolo();
// One more P, to be started by StartM; what `stuck` has queued is global now. Null if that can't be
// now. Runs on: sysmon.
P* AddSpareP(P* stuck);
// What p has queued goes to the global queue. Requires: p isn't the only one. Runs on: sysmon.
void MakeGlobal(P* p);
// Takes the last spare P away if there are more than `stuck` Ps that are stuck; false if there are
// not, or if its owner has been asked to. Runs on: sysmon.
bool RetireSpareP(int stuck);
// The same for the M's own P, if it is that one and one too many by now: the M has no P afterwards.
// Runs on: g0.
bool RetireOwnP(M* m);

// --- thread.cc ---
// Starts a thread that runs p (may be null only at start-up). Fatal if there is none to be had.
void StartThread(P* p, bool spinning, G* next = nullptr, bool inherits = false);
// Starts a thread of the runtime's own, which runs no goroutines and never ends: it counts as one
// that nobody need wait for. Returns pthread_create's error number.
int StartOwnThread(void* (*main)(void*), void* arg, const char* name);
void WakeM(M* m);
bool IsThreadOfScheduler(pthread_t thread);

// --- syscall.cc ---
enum class SyscallKind {
  kShort,   // may come back at once: keeps its P unless sysmon takes it
  kBlocks,  // the caller hands the P on at once
};
void EnterSyscall(SyscallKind kind = SyscallKind::kShort);
void ExitSyscall();
// Takes the P away from an M in a system call; false if it came back meanwhile.
bool RetakeFromSyscall(P* p);
// The call that the M's goroutine is in, or about to make, blocks for long: gives its P to others
// at once instead of when sysmon comes by.
void HandOffSyscallP(M* m);
void Wire(M* m, G* gp, WiredReason reason);
void Unwire(M* m, G* gp, WiredReason reason);

// --- init.cc ---
// Null when there is no memory.
P* NewP(int id);
// Empties a P that is going away into the global queue. Requires: it is nobody's.
void EvacuateLocked(P* p) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock);
void InitScheduler(const Settings& settings, const Hooks& hooks, int procs);
// World stopped. Makes or retires Ps; false, with nothing changed, when there is no memory. `keep`
// is the caller's P, which the caller must exchange for a surviving one itself. Go: procresize
bool ResizeProcs(int procs, P* keep);
// Gives the M the first P for its own, which ResizeProcs has kept only for its sake. World stopped.
void ExchangeForFirstP(M* m);

// xorshift64*, per M.
inline std::uint32_t Random(M* m) {
  m->random ^= m->random << 13;
  m->random ^= m->random >> 7;
  m->random ^= m->random << 17;
  return static_cast<std::uint32_t>(m->random >> 32);
}

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_SCHED_H_

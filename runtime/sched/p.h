// P: the right to run goroutines; there are as many as goroutines may run at once.

#ifndef URGE_RUNTIME_SCHED_P_H_
#define URGE_RUNTIME_SCHED_P_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/config.h"
#include "runtime/base/lists.h"
#include "runtime/sched/run_queue.h"
#include "runtime/sched/timer.h"
#include "runtime/trace/counters.h"
#include "runtime/trace/event_ring.h"

namespace urge::sched {

struct M;

enum class PStatus : std::uint32_t {
  kIdle,     // on the idle list; nobody runs with it
  kRunning,  // an M owns it
  kSyscall,  // its M is in a system call; whoever moves it out of here by CAS owns it
  kStopped,  // the world is stopped
  kDead,     // procs was lowered
};

// Bits of P::attention: why the owner must look around on g0 at its next switch.
enum Attention : std::uint32_t {
  kAttendStop = 1u << 0,    // stop-the-world wants the P
  kAttendTimer = 1u << 1,   // a timer is due
  kAttendSlice = 1u << 2,   // the slice is over: don't let runnext inherit it
  kAttendRetire = 1u << 3,  // a spare P is to go
  kAttendMoved = 1u << 4,   // it was stuck: sysmon wants to know that it isn't any more
};

struct alignas(base::kCacheLine) P {
  // --- The owner's, on every switch ---
  std::atomic<std::uint32_t> attention{0};  // [a]
  // [p] Slices begun; a switch to runnext inherits the slice and doesn't count. Go: schedtick
  std::atomic<std::uint32_t> tick{0};
  std::atomic<std::uint32_t> switches{0};               // [p] all switches to goroutines
  std::uint32_t until_global = base::kGlobalQueueTick;  // [p] switches until global goes first
  std::uint32_t wakes_in_a_row = 0;                     // [p] visits to g0 that found a timer due
  // [a] The only P: nobody can steal from it. Set while the world is stopped; cleared then or by
  // EndSolo.
  std::atomic<bool> solo{false};
  std::atomic<bool> spare{false};  // [s] written; stands in for a stuck one; see spare.cc
  std::int32_t id = 0;             // [c]
  std::atomic<M*> m{nullptr};      // [p] owner, null when idle
  std::uint64_t goid_next = 0, goid_end = 0;  // [p] batch of ids
  // [a] Where to record events; null: nothing is recorded. See record.h.
  std::atomic<trace::EventRing*> ring{nullptr};

  // --- Spawns and ends ---
  base::Stack<G, &G::link> free;  // [p] dead goroutines. Go: p.gFree

  // --- Time: written by the owner where the clock was read anyway, else dated by sysmon. All
  // four are hints; a torn pair costs at most one early or late look. ---
  std::atomic<std::uint64_t> slice_start_ns{0};  // [a] valid while slice_tick == tick
  std::atomic<std::uint32_t> slice_tick{~0u};    // [a]
  std::atomic<std::uint64_t> run_start_ns{0};    // [a] valid while run_switch == switches
  std::atomic<std::uint32_t> run_switch{~0u};    // [a]
  // [p] base::Ticks(): a preemption's due and requeuing, until the next goroutine runs; 0: none.
  std::uint64_t preempt_due_ticks = 0, preempt_requeued_ticks = 0;
  // No wake-up takes this P before that. See config.h, kWakeupGranularityNs.
  std::atomic<std::uint64_t> wakeup_allowed_ns{0};  // [a]

  alignas(base::kCacheLine) std::atomic<PStatus> status{PStatus::kIdle};  // [a]
  std::atomic<std::uint32_t> syscall_tick{0};  // [p] system calls entered
  std::atomic<bool> syscall_watched{false};    // [a] sysmon has been told of this system call
  P* link = nullptr;                           // [s] idle list
  std::atomic<bool> idle{false};               // [s] on the idle list
  // [p] base::Ticks() without an owner; less those of now while it has none. See NoteUnowned.
  std::atomic<std::int64_t> unowned_ticks{0};

  RunQueue queue;
  TimerHeap timers;
  trace::ProcStats stats;
  trace::EventRing events;  // [p] written through `ring`

  // --- sysmon's notes; nobody else reads them ---
  struct Watch {
    std::uint32_t syscall_tick = 0;
    std::uint64_t syscall_since_ns = 0;
    std::uint32_t switches = 0;
    std::uint64_t retry_at_ns = 0;  // next time to ask again
    std::uint64_t backoff_ns = 0;
    std::uint32_t asked_switch = ~0u;    // the run for which a request is outstanding
    std::uint64_t asked_ns = 0;          // since when
    std::uint32_t foreign_hits = 0;      // M::foreign_hits then, or when P::solo had ended
    bool solo_ended = false;             // in that run
    bool queue_freed = false;            // in that run: who waits behind it is global
    std::uint32_t cpu_switch = ~0u;      // the run for which the next two hold
    std::uint64_t cpu_ns = 0;            // CPU time of its M
    std::uint64_t cpu_at_ns = 0;         // when that was read
    std::uint64_t stall_told_ticks = 0;  // the request that no handler answered, as was reported
    bool stuck = false;                  // in that run; a spare P stands in
    bool computes = false;               // stuck in foreign code that computes
  } watch;
};

static_assert(offsetof(P, ring) < base::kCacheLine, "a switch touches one line of a P");

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_P_H_

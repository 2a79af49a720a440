// G: a goroutine.
//
// Gs are type-stable: their memory is never returned, so a stale pointer (sysmon's, a signal
// handler's) reads a G that may be dead or another incarnation, never garbage. Dead Gs wait on
// free lists, mostly with their stacks.
//
// Owner tags, here and in M and P:
//   [c] constant after construction        [a] atomic, see the comment
//   [g] the goroutine itself, or whoever owns its stack (status.h)
//   [m] the M that runs it                 [p] the M that holds the P
//   [s] sched.lock                         [w] written with the world stopped

#ifndef URGE_RUNTIME_SCHED_G_H_
#define URGE_RUNTIME_SCHED_G_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/config.h"
#include "runtime/sched/fiber.h"
#include "runtime/sched/label.h"
#include "runtime/sched/stack.h"
#include "runtime/sched/status.h"

namespace urge::sched {

struct M;

// The guard value that no stack pointer is above, so that every prologue check fails.
// Go: stackPreempt.
inline constexpr std::uintptr_t kStackPreempt = 0xfffffffffffffadeu;

// What the C++ runtime keeps per thread for exceptions in flight (Itanium C++ ABI,
// __cxa_eh_globals): it follows the goroutine.
struct EhGlobals {
  void* caught = nullptr;
  unsigned int uncaught = 0;

  bool empty() const { return caught == nullptr && uncaught == 0; }
};

// Why a goroutine may run only on its own thread; bits, so that reasons nest.
enum WiredReason : std::uint32_t {
  kWiredByUser = 1u << 0,     // lock_os_thread
  kWiredBySyscall = 1u << 1,  // must come back from a blocking call on the thread it left on
  kWiredByFrame = 1u << 2,    // preempted inside thread-bound code
  kWiredByLock = 1u << 3,     // holds a lock that remembers its thread
};

// Who asked a goroutine to stop, strongest last.
enum class PreemptReason : std::uint8_t { kNone, kWakeup, kSlice, kStop };

// Whether a preempted goroutine parks in kPreempted instead of being queued: the suspender asks or
// withdraws, the goroutine's M consents; each by compare-and-swap, so they agree. See suspend.h.
enum class StayStopped : std::uint8_t { kNo, kAsked, kStopped };

// Bits of G::needs_g0: why it can't be switched to from another goroutine's stack.
enum NeedsG0 : std::uint8_t {
  kNeedsItsThread = 1u << 0,  // wired: g0 hands the P to its M
  kNeedsDating = 1u << 1,     // was preempted: g0 reads the clock for the rest of its slice
  kNeedsTiming = 1u << 2,     // was woken at ready_ticks: g0 records when it runs
};

struct alignas(base::kCacheLinePair) G {
  // --- One line: all that a switch touches, and the prologue hook ---
  void* sp = nullptr;                    // [g] saved by urge_switch
  std::atomic<std::uintptr_t> guard{0};  // [a] true guard, or kStackPreempt while asked to stop
  std::uintptr_t true_guard = 0;         // [g] stack.lo plus the reserve
  EhGlobals eh;                          // [g] while off its thread
  G* link = nullptr;                     // [owner of the list it is on]
  std::atomic<GStatus> status{GStatus::kIdle};  // [g] moved by Transition() only
  int saved_errno = 0;                          // [g]
  // [a] Asked to stop; written by requesters, cleared when it stops (or goes on).
  std::atomic<bool> preempt{false};
  std::uint8_t needs_g0 = 0;     // [g] NeedsG0 bits
  bool marked_by_use = false;    // [g] something below isn't as in a fresh goroutine: reset at exit
  std::uint32_t no_preempt = 0;  // [g] depth of urge::no_preempt

  // --- What preemption and wiring touch ---
  alignas(base::kCacheLine) std::atomic<PreemptReason> preempt_reason{PreemptReason::kNone};  // [a]
  std::uint32_t wired_reasons = 0;      // [g] WiredReason bits
  std::uint32_t lock_thread_depth = 0;  // [g] lock_os_thread calls outstanding
  std::uint32_t blocking_depth = 0;     // [g] urge::blocking calls outstanding
  std::uint32_t keeps_p = 0;            // [g] reasons why blocking calls don't give its P up
  std::uint32_t locks_held = 0;         // [g] that remember their thread: see kWiredByLock
  std::atomic<M*> wired_m{nullptr};     // [g] the M it is wired to. Go: g.lockedm
  // [a] Its code answers signals only, so the next slice end needs no waiting for a prologue.
  std::atomic<bool> wants_signal{false};
  std::uint8_t signal_streak = 0;  // [g] signals in a row that stopped it, modulo 256
  std::atomic<StayStopped> stay_stopped{StayStopped::kNo};  // [a] by compare-and-swap
  std::uint64_t slice_used_ns = 0;  // [g] part of its slice it had used when a wake-up took its P
  std::uint64_t taken_at_ns = 0;    // [g] when that was
  std::uint64_t ready_ticks = 0;    // [g] base::Ticks() when a timer or a thread woke it

  // --- Identity; read by tracebacks ---
  alignas(base::kCacheLinePair) std::uint64_t goid = 0;  // [g]
  StackSpan stack;                                       // [g] current stack; [lo, hi)
  std::uintptr_t stack_top = 0;                          // [g] hi less its colour: see config.h
  std::uint64_t parent_goid = 0;                         // [g]
  std::uintptr_t go_pc = 0;                              // [g] pc after the spawn. Go: gopc
  std::uintptr_t start_pc = 0;  // [g] pc of the entry function. Go: startpc
  std::atomic<WaitReason> wait_reason{WaitReason::kNone};  // [g]
  bool system = false;                                     // [g] the runtime's own; counted apart
  bool standard_stack = true;                              // [g]
  std::atomic<std::uint64_t> wait_since_ns{0};  // [a] filled in by the first dump that sees it wait
  // [a] base::Ticks() when it was last queued; written while events are recorded only.
  std::atomic<std::uint64_t> queued_ticks{0};
  LabelRef labels;        // [g] inherited
  AncestorRef ancestors;  // [g] only with URGE_DEBUG=tracebackancestors=N
  char name[32] = {};     // [g]
  G* all_next = nullptr;  // [c] once on the list of all goroutines
  Fiber fiber;            // [g]
};
static_assert(offsetof(G, preempt_reason) == base::kCacheLine, "a switch touches one line of a G");

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_G_H_

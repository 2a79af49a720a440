// M: an operating-system thread that runs goroutines.
//
// Its own stack (the pthread's) is g0: the scheduler's slow paths, timer callbacks and frame walks
// run there. Ms are type-stable like Gs: an M whose thread has exited is reused for a new one.

#ifndef URGE_RUNTIME_SCHED_M_H_
#define URGE_RUNTIME_SCHED_M_H_

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstdint>

#include "runtime/base/config.h"
#include "runtime/base/lock.h"
#include "runtime/sched/g.h"
#include "runtime/trace/stages.h"

namespace urge::sched {

struct P;
}  // namespace urge::sched
namespace urge::preempt {
struct StackProbe;
}
namespace urge::traceback {
struct ProfileRing;
}
namespace urge::sched {

struct alignas(base::kCacheLinePair) M {
  // --- Every switch ---
  std::atomic<G*> curg{nullptr};  // [m] running goroutine, null on g0; sysmon and handlers read it
  P* p = nullptr;                 // [m] null in a system call and when idle
  void* g0_sp = nullptr;          // [m] g0's context while a goroutine runs
  int* errno_slot = nullptr;      // [c] &errno of this thread
  EhGlobals* eh = nullptr;        // [c] __cxa_get_globals() of this thread
  G* lockedg = nullptr;           // [m] the goroutine wired to this M. Go: m.lockedg
  bool spinning = false;          // [m] out of work and looking for some
  std::uint64_t random = 1;       // [m] xorshift state

  // --- Preemption ---
  // The word of this thread that prologues compare with: %fs:0x70. [a; M and requesters write]
  alignas(base::kCacheLinePair) std::atomic<std::uintptr_t>* guard_word = nullptr;  // [c]
  std::atomic<std::uint32_t> signal_pending{0};  // [a] 1: a preemption signal is on its way
  std::atomic<std::uint32_t> foreign_hits{0};    // [m] times it was asked in code of others
  // [m] In a libc call that a signal can cut short, and whether ours has cut it short: set by the
  // handler, so that nobody sees an EINTR that is ours. See interpose/goroutine.h.
  std::atomic<bool> in_call{false};
  std::atomic<bool> cut_short{false};
  int tid = 0;         // [c]
  pthread_t thread{};  // [c]
  // Held while somebody marks or signals this M, and by the M while it goes: an M that has gone is
  // never touched, since the kernel may reuse its tid and glibc its TCB.
  base::RuntimeMutex mark_lock{base::LockRank::kMark};
  bool gone = true;                  // [mark_lock]
  sigset_t base_mask{};              // [c] the mask that goroutines run with
  void* signal_stack = nullptr;      // [m]
  stack_t previous_signal_stack{};   // [m] the thread's own, if it came with one
  timer_t slice_timer{};             // [m] fires the preemption signal at the exact end of a slice
  bool has_slice_timer = false;      // [m]
  std::uint64_t slice_timer_ns = 0;  // [m] when it runs out; 0: it was set for something else
  // [mark_lock; its own thread] Of the pending request. One line: requesters fetch it beforehand.
  alignas(base::kCacheLine) trace::RequestStamps request;
  std::atomic<std::uint64_t> stall_told_ticks{0};    // [a] the request whose stall was reported
  std::atomic<preempt::StackProbe*> probe{nullptr};  // [a] somebody wants to see the stack
  // [a] Samples of its thread, while and after a profile is taken; stays with the M.
  std::atomic<traceback::ProfileRing*> profile_ring{nullptr};
  bool may_profile = false;  // [mark_lock] there is a thread

  // --- Idle, hand-over, life ---
  alignas(base::kCacheLinePair) std::atomic<std::uint32_t> park_word{0};  // [a] 1: a wake-up is due
  P* next_p = nullptr;              // [whoever wakes it] the P to go on with. Go: m.nextp
  P* syscall_p = nullptr;           // [m] the P it had when it entered a system call. Go: m.oldp
  G* next_g = nullptr;              // [m] picked already, but only g0 may run it
  bool next_g_inherits = false;     // [m]
  bool exiting = false;             // [m] the thread ends once it is back on g0
  G* go_on_g = nullptr;             // [m] preempted where it must not be: goes on at once
  std::uint64_t stopped_ticks = 0;  // [m] base::Ticks() when the goroutine's own code stopped
  G* just_preempted = nullptr;      // [m] so that the 61st tick doesn't pick it again at once
  std::uint64_t clock_ns = 0;       // [m] time read on this visit to g0, 0 if none
  Fiber fiber;                      // [m] of g0
  M* link = nullptr;                // [s] idle list or free list
  M* all_next = nullptr;            // [c]
  std::int32_t id = 0;              // [c]
};

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_M_H_

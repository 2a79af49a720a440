// Timers: per-P 4-ary heaps, ordered by deadline.
//
//  1. A Timer is armed into the heap of the caller's P (of some P, from a plain thread).
//  2. Whoever looks for work on a P runs that P's expired timers first (RunExpired): an idle M
//     that acts as keeper sleeps until the earliest timer of all Ps; while every P is busy, sysmon
//     watches and preempts a goroutine so that its P comes to look.
//  3. The callback runs on g0, with the heap unlocked: it may Ready goroutines and take wait-queue
//     locks, must not block, allocate, throw or call a user's code.
//
// Unlike Go's timers there are no lazily deleted ones: each timer knows its place in its heap, so
// Stop removes it at once, and the lock of the heap decides between Stop and expiry.

#ifndef URGE_RUNTIME_SCHED_TIMER_H_
#define URGE_RUNTIME_SCHED_TIMER_H_

#include <atomic>
#include <climits>
#include <cstdint>

#include "runtime/base/lock.h"
#include "runtime/base/os.h"

namespace urge::sched {

struct P;

class TimerHeap;

// Owned by whoever armed it; must not be destroyed while armed or while its callback runs.
struct Timer {
  using Callback = void (*)(Timer* timer, std::uint64_t now_ns);

  std::uint64_t when_ns = 0;    // [heap lock while armed]
  std::uint64_t period_ns = 0;  // 0: one shot; else armed again at when + k * period > now
  Callback callback = nullptr;
  void* arg = nullptr;

  std::atomic<TimerHeap*> heap{nullptr};  // [a; written under the heap's lock] where it is armed
  std::uint32_t index = 0;                // [heap lock]
  std::atomic<bool> moving{false};        // [a] between two heaps, see MoveAllTo
};

// Arms a timer that isn't armed. when_ns is CLOCK_MONOTONIC. Runs on: G, g0 or a plain thread;
// the runtime must have been started.
void StartTimer(Timer* timer);
// Disarms; true if it was armed, so that its callback will not run (again). False: not armed, has
// run, or is just running.
bool StopTimer(Timer* timer);

class TimerHeap {
 public:
  // Adds; returns true if the timer is now the earliest.
  bool Add(Timer* timer);
  bool Remove(Timer* timer);
  // Runs the callbacks of timers due at `now`, at most `limit` of them. Returns how many. Runs on:
  // g0, no locks held.
  int RunExpired(std::uint64_t now, int limit = kAll);
  static constexpr int kAll = INT_MAX;
  // Moves every timer to `target`; world stopped.
  void MoveAllTo(TimerHeap& target);

  std::uint32_t Size() {
    base::RuntimeLock lock(lock_);
    return size_;
  }
  // The earliest deadline, kNever when empty. seq_cst: see PublishEarliest.
  std::uint64_t earliest_ns() const { return earliest_ns_.load(std::memory_order_seq_cst); }

 private:
  bool AddLocked(Timer* timer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void RemoveAtLocked(std::uint32_t i) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void SiftUp(std::uint32_t i) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void SiftDown(std::uint32_t i) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void Grow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void PublishEarliest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void Place(std::uint32_t i, Timer* timer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_) {
    heap_[i] = timer;
    timer->index = i;
  }

  base::RuntimeMutex lock_{base::LockRank::kTimers};
  Timer** heap_ ABSL_GUARDED_BY(lock_) = nullptr;
  std::uint32_t size_ ABSL_GUARDED_BY(lock_) = 0;
  std::uint32_t capacity_ ABSL_GUARDED_BY(lock_) = 0;
  std::atomic<std::uint64_t> earliest_ns_{base::kNever};
};

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_TIMER_H_

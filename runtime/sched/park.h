// Park and Ready: how a goroutine (or a plain thread) waits for another.
//
// Protocol, for a list of waiters guarded by a RuntimeMutex:
//   waiter:  lock; decide to wait; put a Waiter on the list; Waiter::Wait(lock): the lock is
//            released only after the goroutine's context is complete on its stack (Go: gopark with
//            an unlock function), so whoever finds the Waiter may run the goroutine at once.
//   waker:   lock; take the Waiter off the list; unlock; Waiter::Wake().
// A Waiter lives in the frame of the waiting call; after Wake() it may be gone.
//
// A goroutine never parks while it holds a runtime lock other than the one it passes.

#ifndef URGE_RUNTIME_SCHED_PARK_H_
#define URGE_RUNTIME_SCHED_PARK_H_

#include <atomic>
#include <cstdint>

#include "runtime/base/lock.h"
#include "runtime/sched/status.h"

namespace urge::sched {

struct G;

// The calling goroutine, or null on a plain thread (and on g0).
// The pointer stays right for the whole life of the goroutine, whatever thread it is on.
G* CurrentG();

// Switches the calling goroutine off in state kWaiting and then, from another stack, calls
// unlock(gp, arg); if that returns false the goroutine is made runnable again at once.
// Returns when somebody has called Ready(gp).
// Runs on: G, without runtime locks except the one that unlock releases.  Go: gopark.
using UnlockFunction = bool (*)(G* gp, void* arg);
void Park(UnlockFunction unlock, void* arg, WaitReason reason);
void ParkUnlock(base::RuntimeMutex& lock, WaitReason reason);

// Makes a parked goroutine runnable; the caller must own it (see status.h). It runs next on the
// caller's P unless somebody steals it; from a thread without a P it goes to the global queue.
// Runs on: anything but a signal handler. May mark the calling goroutine to yield soon: long
// operations end with MaybeYield().  Go: goready.
void Ready(G* gp);

// Ends a public operation that may have woken somebody: yields if the goroutine was asked to.
void MaybeYield();

// One waiting party: a goroutine, or a plain thread asleep on a futex.
class Waiter {
 public:
  // For the caller's own wait.
  Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Blocks the caller until Wake(); releases `lock` once the wait may be ended by others.
  void Wait(base::RuntimeMutex& lock, WaitReason reason);
  // As Wait, for any lock: unlock(gp, arg) releases it and returns true; gp is null on a thread.
  void Wait(UnlockFunction unlock, void* arg, WaitReason reason);
  // As Wait, but gives up when CLOCK_MONOTONIC reaches deadline_ns. Whoever removes the waiter
  // from its list under `lock` decides: on a time-out the caller takes `lock` again, calls
  // `try_remove(arg)`, which returns true if the waiter was still listed (and unlists it). Returns
  // false on a time-out. deadline_ns = kNever waits without end.
  bool WaitUntil(base::RuntimeMutex& lock, WaitReason reason, std::uint64_t deadline_ns,
                 bool (*try_remove)(void* arg), void* arg);
  // Ends the wait. The waiter may be gone when this returns.
  void Wake();

  G* goroutine() const { return gp_; }  // null for a plain thread

  // List links and a value slot, for the use of whoever keeps the list, under its lock.
  Waiter* next = nullptr;
  Waiter* prev = nullptr;
  void* value = nullptr;
  bool ok = false;

 private:
  G* const gp_;
  bool counted_ = false;                 // [list lock] plain threads: in g_sched.blocked_threads
  std::atomic<std::uint32_t> woken_{0};  // plain threads: futex word
};

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_PARK_H_

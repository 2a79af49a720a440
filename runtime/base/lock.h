// RuntimeMutex: the runtime's own lock, which blocks the thread, never the goroutine.
//
// A three-state futex word (Drepper, "Futexes are tricky", mutex 3): 0 free, 1 held, 2 held and
// somebody may sleep. Before it sleeps a thread spins as Go's runtime locks do (4 x 30 pauses).
//
// Invariants
//  - A goroutine that holds one is never switched off: the runtime's text is outside the
//    preemption map, and no code under the lock parks. So holders make progress whenever the
//    kernel runs their thread.
//  - Locks are taken in the order of LockRank; debug builds check it per thread.
//  - No operation of a user's type and no allocation runs under one.

#ifndef URGE_RUNTIME_BASE_LOCK_H_
#define URGE_RUNTIME_BASE_LOCK_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"

namespace urge::base {

// The lock order: a lock may be taken only while all that the thread holds rank lower.
enum class LockRank : std::uint8_t {
  kWorld,      // one stop-the-world at a time
  kWaitQueue,  // a channel's, mutex's or other primitive's waiters
  kTimers,     // a P's timer heap
  kSched,      // the scheduler's global state
  kFreeList,   // global list of dead goroutines
  kStacks,     // stack slabs
  kAllGs,      // the list of all goroutines
  kMark,       // the right to mark or signal an M
  kLeaf,       // anything that takes no other lock
};

class ABSL_LOCKABLE RuntimeMutex {
 public:
  constexpr explicit RuntimeMutex(LockRank rank) : rank_(rank) {}
  RuntimeMutex(const RuntimeMutex&) = delete;
  RuntimeMutex& operator=(const RuntimeMutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    NoteAcquire();
    std::uint32_t expected = kFree;
    // Acquire: pairs with the release in Unlock; the previous holder's writes are seen.
    if (!word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      LockSlow();
    }
  }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    std::uint32_t expected = kFree;
    if (!word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      return false;
    }
    NoteAcquire();
    return true;
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    NoteRelease();
    if (word_.exchange(kFree, std::memory_order_release) == kSlept) WakeOne();
  }

 private:
  static constexpr std::uint32_t kFree = 0, kHeld = 1, kSlept = 2;

  void LockSlow();
  void WakeOne();
#ifdef URGE_DEBUG_CHECKS
  void NoteAcquire();
  void NoteRelease();
#else
  void NoteAcquire() {}
  void NoteRelease() {}
#endif

  std::atomic<std::uint32_t> word_{kFree};
  [[maybe_unused]] const LockRank rank_;
};

class ABSL_SCOPED_LOCKABLE RuntimeLock {
 public:
  explicit RuntimeLock(RuntimeMutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_.Lock();
  }
  ~RuntimeLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  RuntimeLock(const RuntimeLock&) = delete;
  RuntimeLock& operator=(const RuntimeLock&) = delete;

 private:
  RuntimeMutex& mutex_;
};

}  // namespace urge::base

#endif  // URGE_RUNTIME_BASE_LOCK_H_

// Waiting with something other than a RuntimeMutex as the lock of the list one waits on.

#ifndef URGE_RUNTIME_SCHED_WAIT_WORD_H_
#define URGE_RUNTIME_SCHED_WAIT_WORD_H_

#include <atomic>
#include <cstdint>

#include "runtime/base/lock.h"
#include "runtime/base/word_lock.h"
#include "runtime/sched/park.h"

namespace urge::sched {

// Blocks until waiter.Wake(). `unlock(gp, arg)` runs once the wait may be ended by others, as in
// Park; it must return true, and gp is null for a plain thread.
inline void Wait(Waiter& waiter, UnlockFunction unlock, void* arg, WaitReason reason) {
  if (waiter.goroutine() != nullptr) {
    Park(unlock, arg, reason);
  } else {
    // A thread keeps its context on the CPU, so the list may be unlocked before it sleeps.
    base::RuntimeMutex own(base::LockRank::kWaitQueue);
    unlock(nullptr, arg);
    own.Lock();
    waiter.Wait(own, reason);
  }
}

// As Waiter::Wait, with a WordLock.
inline void WaitWord(Waiter& waiter, std::atomic<std::uint32_t>& word, WaitReason reason) {
  Wait(
      waiter,
      [](G*, void* locked) {
        base::UnlockWord(*static_cast<std::atomic<std::uint32_t>*>(locked));
        return true;
      },
      &word, reason);
}

// Blocks for ever.
[[noreturn]] inline void WaitForNobody(WaitReason reason) {
  for (;;) {
    Waiter waiter;
    Wait(
        waiter, [](G*, void*) { return true; }, nullptr, reason);
  }
}

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_WAIT_WORD_H_

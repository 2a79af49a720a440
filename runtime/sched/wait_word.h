// Waiting on a list whose lock is a WordLock, and waiting for nobody.

#ifndef URGE_RUNTIME_SCHED_WAIT_WORD_H_
#define URGE_RUNTIME_SCHED_WAIT_WORD_H_

#include <atomic>
#include <cstdint>

#include "runtime/base/word_lock.h"
#include "runtime/sched/park.h"

namespace urge::sched {

// As Waiter::Wait, with a WordLock.
inline void WaitWord(Waiter& waiter, std::atomic<std::uint32_t>& word, WaitReason reason) {
  base::AnnotateRelease(&word);  // the unlocking is done on another stack
  waiter.Wait(
      [](G*, void* locked) {
        base::UnlockWordForHolder(*static_cast<std::atomic<std::uint32_t>*>(locked));
        return true;
      },
      &word, reason);
}

// Blocks for ever.
[[noreturn]] inline void WaitForNobody(WaitReason reason) {
  for (;;) {
    Waiter waiter;
    waiter.Wait([](G*, void*) { return true; }, nullptr, reason);
  }
}

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_WAIT_WORD_H_

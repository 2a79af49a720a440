// WordLock: a lock in a word of the locked object, for sections of some tens of instructions.
//
//  1. Locking is one exchange. Unlocking is a plain store: no second read-modify-write.
//  2. Who finds it held spins as RuntimeMutex does; if that doesn't help, the holder's thread has
//     been taken off its CPU, and it sleeps for kWordLockNapNs at a time, which nobody cuts short.
//
// Invariants
//  - The store is the last touch of the object: whoever locks next may destroy it.
//  - As for RuntimeMutex: the holder is never switched off and runs no code of a user's.
//  - It ranks as LockRank::kWaitQueue and nothing is locked under it, so no rank is checked.
//
// Rejected: a "slept" state in the word, which costs the exchange in Unlock that this lock is
// there to save; a count of sleepers beside it, which would be read after the last touch.

#ifndef URGE_RUNTIME_BASE_WORD_LOCK_H_
#define URGE_RUNTIME_BASE_WORD_LOCK_H_

#include <atomic>
#include <cstdint>

#include "runtime/base/config.h"
#include "runtime/base/os.h"
#include "runtime/base/sanitizer.h"

namespace urge::base {

// How long a thread sleeps between two looks at a WordLock whose holder is off its CPU: short
// against the scheduling quanta that such a holder waits for, long against a futex call (1 us).
inline constexpr std::uint64_t kWordLockNapNs = 50'000;

// Pauses, and from some point on naps while `word` still has the value `seen`: the body of a loop
// that waits for a short section of another thread.
class SpinWait {
 public:
  void Once(const std::atomic<std::uint32_t>& word, std::uint32_t seen) {
    if (spins_ < kLockSpinRounds * kLockSpinPauses) {
      ++spins_;
      CpuRelax();
    } else {
      FutexWaitUntil(&word, seen, NowNs() + kWordLockNapNs);
    }
  }

 private:
  int spins_ = 0;
};

inline void LockWordSlow(std::atomic<std::uint32_t>& word) {
  SpinWait wait;
  do {
    while (word.load(std::memory_order_relaxed) != 0) wait.Once(word, 1);
  } while (word.exchange(1, std::memory_order_acquire) != 0);
}

inline void LockWord(std::atomic<std::uint32_t>& word) {
  // Acquire: pairs with UnlockWord; the previous holder's writes are seen.
  if (__builtin_expect(word.exchange(1, std::memory_order_acquire) != 0, 0)) LockWordSlow(word);
  AnnotateAcquire(&word);
}

// For who unlocks on behalf of the holder, who has annotated his release himself.
inline void UnlockWordForHolder(std::atomic<std::uint32_t>& word) {
  // Release: pairs with LockWord; publishes what the section wrote.
  word.store(0, std::memory_order_release);
}

inline void UnlockWord(std::atomic<std::uint32_t>& word) {
  AnnotateRelease(&word);
  UnlockWordForHolder(word);
}

}  // namespace urge::base

#endif  // URGE_RUNTIME_BASE_WORD_LOCK_H_

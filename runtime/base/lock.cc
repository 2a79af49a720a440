#include "runtime/base/lock.h"

#include "runtime/base/check.h"
#include "runtime/base/config.h"
#include "runtime/base/os.h"

namespace urge::base {

void RuntimeMutex::LockSlow() {
  for (int round = 0; round < kLockSpinRounds; ++round) {
    for (int i = 0; i < kLockSpinPauses; ++i) CpuRelax();
    std::uint32_t expected = kFree;
    if (word_.load(std::memory_order_relaxed) == kFree &&
        word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      return;
    }
  }
  // From here on the word says "slept", so that whoever unlocks wakes one of us.
  while (word_.exchange(kSlept, std::memory_order_acquire) != kFree) FutexWait(&word_, kSlept);
}

void RuntimeMutex::WakeOne() { FutexWake(&word_, 1); }

#ifdef URGE_DEBUG_CHECKS
namespace {
// Ranks held by this thread, as a bit set. A runtime lock is never held across a switch, so this
// is one place where a plain thread_local is right.
thread_local std::uint32_t t_held_ranks = 0;
}  // namespace

void RuntimeMutex::NoteAcquire() {
  const auto bit = std::uint32_t{1} << static_cast<unsigned>(rank_);
  URGE_CHECK_MSG(t_held_ranks < bit, "runtime locks taken out of order");
  t_held_ranks |= bit;
}

void RuntimeMutex::NoteRelease() {
  t_held_ranks &= ~(std::uint32_t{1} << static_cast<unsigned>(rank_));
}
#endif

}  // namespace urge::base

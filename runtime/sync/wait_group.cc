// urge::wait_group when somebody waits, or when it is misused.
//
// state_ holds the count (upper half) and how many wait (lower half); waiters_ lists those. A
// waiter counts and lists itself under lock_, and only while the count isn't zero. The one who
// brings the count to zero while there are waiters takes them all under lock_ and wakes them: until
// then none of them returns, so the group lives; with the unlocking it is done with the group.
//
// Source: Go's waitgroup.go. There a semaphore keeps the waiters, so a new round must not begin
// before all have passed it; here they are unlisted together, and it may.

#include <urge/sync.h>

#include "runtime/base/check.h"
#include "runtime/base/word_lock.h"
#include "runtime/sched/park.h"
#include "runtime/sched/wait_word.h"

namespace urge {

void wait_group::add_slow(int delta, std::int64_t before, std::int64_t after) {
  const auto undo = [&] {
    state_.fetch_sub(static_cast<std::uint64_t>(static_cast<std::int64_t>(delta)) << 32,
                     std::memory_order_relaxed);
  };
  if (after < 0) {
    undo();
    throw std::logic_error("urge::wait_group: negative counter");
  }
  if (after > INT32_MAX) {
    undo();
    throw std::logic_error("urge::wait_group: counter too large");
  }
  if (before == 0 && after != 0) {
    undo();
    throw std::logic_error("urge::wait_group: add called concurrently with wait");
  }
  if (after != 0 || delta == 0) return;

  base::LockWord(lock_);
  state_.fetch_and(~std::uint64_t{UINT32_MAX}, std::memory_order_relaxed);
  auto* waiter = static_cast<sched::Waiter*>(waiters_);
  waiters_ = nullptr;
  base::UnlockWord(lock_);
  // First come, first woken.
  sched::Waiter* first = nullptr;
  while (waiter != nullptr) {
    sched::Waiter* const earlier = waiter->next;
    waiter->next = first;
    first = waiter;
    waiter = earlier;
  }
  while (first != nullptr) {
    sched::Waiter* const next = first->next;  // the waiter is gone after Wake()
    first->Wake();
    first = next;
  }
  sched::MaybeYield();
}

void wait_group::wait_slow() noexcept {
  base::LockWord(lock_);
  std::uint64_t state = state_.load(std::memory_order_acquire);
  do {
    if (state >> 32 == 0) {
      base::AnnotateAcquire(&state_);
      base::UnlockWord(lock_);
      return;
    }
  } while (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire));
  sched::Waiter self;
  self.next = static_cast<sched::Waiter*>(waiters_);
  waiters_ = &self;
  sched::WaitWord(self, lock_, sched::WaitReason::kWaitGroup);
}

}  // namespace urge

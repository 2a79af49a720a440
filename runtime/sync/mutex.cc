// urge::mutex when it is contended.
//
// state_ is the whole truth but for the list of waiters:
//   locked_bit    somebody owns it
//   queue_bit     somebody changes the list
//   waiters_bit   the list has somebody in it
//   woken_bit     a waiter has been woken and is on its way to try again: wake no other
//   starving_bit  ownership goes from hand to hand in order of arrival; nobody else may take it
//
// Invariants
//  - queue_bit is set only while locked_bit is, and while it is, only its holder changes state_
//    and the list: an owner who wants to unlock waits until it is clear.
//  - starving_bit implies locked_bit and waiters_bit.
//  - Unlocking touches the mutex for the last time in the one store or exchange that frees it, so
//    the next owner may destroy it.
//
// How it goes, as in Go's mutex
//  1. Normal: the owner frees it and wakes the first waiter, which competes with whoever runs. If
//     it loses it goes back to the head of the list.
//  2. A woken waiter that lost and has waited for over 1 ms sets starving_bit. The owner then
//     passes its ownership on to the first waiter (Waiter::ok) and yields to it.
//  3. Starving ends when the one who gets it is the last, or has waited for less than that.
//
// Differences from Go: the list is in the mutex instead of behind a hashed table of semaphores, so
// that a mutex costs 24 bytes but contention on one never meets another's.

#include <urge/go.h>
#include <urge/runtime.h>
#include <urge/sync.h>

#include "runtime/base/check.h"
#include "runtime/base/config.h"
#include "runtime/base/os.h"
#include "runtime/base/sanitizer.h"
#include "runtime/base/word_lock.h"
#include "runtime/sched/park.h"

namespace urge {
namespace {

// Go: starvationThresholdNs.
constexpr std::uint64_t kStarvingNs = 1'000'000;
// Rounds of base::kLockSpinPauses before a goroutine parks, where others run at the same time.
// Go: active_spin.
constexpr int kSpinRounds = 4;

struct MutexWaiter : sched::Waiter {
  std::uint64_t since_ns = 0;
};

// What a parking waiter leaves behind: the state without queue_bit.
struct Release {
  std::atomic<std::uint32_t>* state;
  std::uint32_t next;
};

bool ReleaseQueue(sched::G*, void* arg) {
  const Release release = *static_cast<Release*>(arg);
  // Release: pairs with the acquire of whoever takes queue_bit next; publishes the list.
  release.state->store(release.next, std::memory_order_release);
  return true;
}

}  // namespace

struct mutex_access {
  static void PushBack(mutex& m, MutexWaiter* w) {
    w->next = nullptr;
    if (m.last_ != nullptr) {
      static_cast<MutexWaiter*>(m.last_)->next = w;
    } else {
      m.first_ = w;
    }
    m.last_ = w;
  }
  static void PushFront(mutex& m, MutexWaiter* w) {
    w->next = static_cast<MutexWaiter*>(m.first_);
    m.first_ = w;
    if (m.last_ == nullptr) m.last_ = w;
  }
  static MutexWaiter* PopFirst(mutex& m) {
    auto* w = static_cast<MutexWaiter*>(m.first_);
    m.first_ = static_cast<MutexWaiter*>(w->next);
    if (m.first_ == nullptr) m.last_ = nullptr;
    return w;
  }
};

bool mutex::try_lock_slow() noexcept {
  std::uint32_t state = state_.load(std::memory_order_relaxed);
  while ((state & (locked_bit | starving_bit)) == 0) {
    if (state_.compare_exchange_weak(state, state | locked_bit, std::memory_order_acquire,
                                     std::memory_order_relaxed)) {
      base::AnnotateAcquire(&state_);
      return true;
    }
  }
  return false;
}

void mutex::lock_slow() noexcept {
  std::uint64_t since_ns = 0;
  bool awake = false;  // woken_bit is ours
  int spins = 0;
  base::SpinWait wait;
  for (;;) {
    std::uint32_t state = state_.load(std::memory_order_relaxed);
    if ((state & locked_bit) == 0) {
      const std::uint32_t next = (state | locked_bit) & ~(awake ? woken_bit : 0);
      if (state_.compare_exchange_weak(state, next, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        base::AnnotateAcquire(&state_);
        return;
      }
      continue;
    }
    if ((state & queue_bit) != 0) {
      wait.Once(state_, state);
      continue;
    }
    if (spins < kSpinRounds && (state & starving_bit) == 0 && (spins != 0 || procs() > 1)) {
      for (int i = 0; i < base::kLockSpinPauses; ++i) base::CpuRelax();
      ++spins;
      continue;
    }
    // Acquire: the list as its last holder left it.
    if (!state_.compare_exchange_weak(state, state | queue_bit, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      continue;
    }
    std::uint32_t next = state | waiters_bit;
    const std::uint64_t now = base::NowNs();
    MutexWaiter self;  // one for each wait
    if (awake) {
      next &= ~woken_bit;
      if (now - since_ns > kStarvingNs) next |= starving_bit;
      self.since_ns = since_ns;
      mutex_access::PushFront(*this, &self);
    } else {
      self.since_ns = since_ns = now;
      mutex_access::PushBack(*this, &self);
    }
    Release release{&state_, next};
    self.Wait(ReleaseQueue, &release, sched::WaitReason::kMutexLock);
    if (self.ok) {
      base::AnnotateAcquire(&state_);
      return;
    }
    awake = true;
    spins = 0;
  }
}

void mutex::unlock_slow() noexcept {
  base::AnnotateRelease(&state_);
  base::SpinWait wait;
  std::uint32_t state = state_.load(std::memory_order_relaxed);
  for (;;) {
    if ((state & locked_bit) == 0) base::Fatal("urge::mutex: unlock of unlocked mutex");
    if ((state & queue_bit) != 0) {
      wait.Once(state_, state);
      state = state_.load(std::memory_order_relaxed);
      continue;
    }
    const bool wake =
        (state & waiters_bit) != 0 && ((state & woken_bit) == 0 || (state & starving_bit) != 0);
    const std::uint32_t next = wake ? state | queue_bit : state & ~locked_bit;
    // Release: pairs with the acquire in lock(). Acquire: the list as its last holder left it.
    if (state_.compare_exchange_weak(state, next, std::memory_order_acq_rel,
                                     std::memory_order_relaxed)) {
      if (!wake) return;
      break;
    }
  }
  MutexWaiter* const waiter = mutex_access::PopFirst(*this);
  const std::uint32_t left = first_ != nullptr ? waiters_bit : 0;
  if ((state & starving_bit) != 0) {
    std::uint32_t next = locked_bit | left | (state & woken_bit);
    if (left != 0 && base::NowNs() - waiter->since_ns >= kStarvingNs) next |= starving_bit;
    waiter->ok = true;
    state_.store(next, std::memory_order_release);
    waiter->Wake();
    // The new owner runs at once, or everybody would wait for it to be scheduled. Go: goyield.
    yield();
  } else {
    state_.store(left | woken_bit, std::memory_order_release);
    waiter->Wake();
    sched::MaybeYield();
  }
}

}  // namespace urge

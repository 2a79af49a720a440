// The one-shot event: see <urge/detail/event.h>.
//
// The word is nothing (0), "set" (1), or the address of the last party that came to wait, whose
// `next` leads to the earlier ones; with locked_bit while somebody takes his own node out.
//
// A waiter publishes its node before its context is complete, so each node has a gate, a lock
// that is released when it is; the setter passes through the gate before it wakes the waiter.

#include <urge/detail/event.h>

#include <sched.h>

#include "runtime/base/config.h"
#include "runtime/base/lock.h"
#include "runtime/base/os.h"
#include "runtime/base/sanitizer.h"
#include "runtime/sched/park.h"

namespace urge::detail {

struct event::node {
  sched::Waiter waiter;
  base::RuntimeMutex gate{base::LockRank::kWaitQueue};
  node* next = nullptr;
  event* owner = nullptr;
};

namespace {

// Waits for the few instructions during which locked_bit is set.
class BitWait {
 public:
  void Once() {
    if (++spins_ % (base::kLockSpinRounds * base::kLockSpinPauses) == 0) {
      sched_yield();
    } else {
      base::CpuRelax();
    }
  }

 private:
  int spins_ = 0;
};

}  // namespace

// Returns the list without bits, with locked_bit now set in the word, or set_word.
std::uintptr_t event::lock_unless_set() noexcept {
  BitWait wait;
  std::uintptr_t word = word_.load(std::memory_order_acquire);
  for (;;) {
    if (word == set_word) return set_word;
    if ((word & locked_bit) != 0) {
      wait.Once();
      word = word_.load(std::memory_order_acquire);
    } else if (word_.compare_exchange_weak(word, word | locked_bit, std::memory_order_acquire)) {
      return word;
    }
  }
}

void event::set() noexcept {
  base::AnnotateRelease(&word_);
  BitWait wait;
  std::uintptr_t word = word_.load(std::memory_order_relaxed);
  for (;;) {
    if ((word & locked_bit) != 0) {
      wait.Once();
      word = word_.load(std::memory_order_relaxed);
      continue;
    }
    // Release: pairs with is_set() and wait_slow(). Acquire: the nodes' fields are seen.
    if (word_.compare_exchange_weak(word, set_word, std::memory_order_acq_rel,
                                    std::memory_order_relaxed)) {
      break;
    }
  }
  if (word == 0) return;
  // First come, first woken.
  node* first = nullptr;
  for (auto* n = reinterpret_cast<node*>(word); n != nullptr;) {
    node* const earlier = n->next;
    n->next = first;
    first = n;
    n = earlier;
  }
  while (first != nullptr) {
    node* const next = first->next;  // the node is gone after Wake()
    first->gate.Lock();
    first->gate.Unlock();
    first->waiter.Wake();
    first = next;
  }
  sched::MaybeYield();
}

// Takes a node out after its time is over; false if set() has it. Called under its gate.
bool event::remove(node* self) noexcept {
  const std::uintptr_t word = lock_unless_set();
  if (word == set_word) return false;
  auto* first = reinterpret_cast<node*>(word);
  if (first == self) {
    first = self->next;
  } else {
    node* n = first;
    while (n->next != self) n = n->next;
    n->next = self->next;
  }
  // Release: pairs with lock_unless_set() and set(); publishes the links.
  word_.store(reinterpret_cast<std::uintptr_t>(first), std::memory_order_release);
  return true;
}

bool event::wait_slow(std::uint64_t deadline_ns) noexcept {
  if (deadline_ns != never_ns && deadline_ns <= base::NowNs()) return is_set();
  node self;
  self.owner = this;
  self.gate.Lock();
  BitWait wait;
  std::uintptr_t word = word_.load(std::memory_order_acquire);
  for (;;) {
    if (word == set_word) {
      base::AnnotateAcquire(&word_);
      self.gate.Unlock();
      return true;
    }
    if ((word & locked_bit) != 0) {
      wait.Once();
      word = word_.load(std::memory_order_acquire);
      continue;
    }
    self.next = reinterpret_cast<node*>(word);
    // Release: publishes the node. Acquire: if it is set after all, is_set()'s promise.
    if (word_.compare_exchange_weak(word, reinterpret_cast<std::uintptr_t>(&self),
                                    std::memory_order_release, std::memory_order_acquire)) {
      break;
    }
  }
  return self.waiter.WaitUntil(
      self.gate, sched::WaitReason::kFuture, deadline_ns,
      [](void* arg) {
        auto* n = static_cast<node*>(arg);
        return n->owner->remove(n);
      },
      &self);
}

}  // namespace urge::detail

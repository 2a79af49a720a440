// A one-shot event: set once, waited for by any number of goroutines and plain threads.
//
//  1. One word holds everything: nothing yet, "set", or a stack of waiting parties, with one bit
//     as a lock for taking a party out of its middle after a time-out.
//  2. set() swaps "set" in, which is the last time it touches the event, and then wakes whom it
//     took: a waiter's frame lives until it is woken, so the event may lie in one.
//  3. Who finds "set" goes on without any lock.
//
// Go: runtime's note, but for goroutines too.

#ifndef URGE_DETAIL_EVENT_H_
#define URGE_DETAIL_EVENT_H_

#include <atomic>
#include <cstdint>

#include <urge/detail/export.h>

namespace urge::detail {

class event {
 public:
  constexpr event() noexcept = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  // Acquire: pairs with set(); what happened before set() is seen after true.
  [[nodiscard]] bool is_set() const noexcept {
    return word_.load(std::memory_order_acquire) == set_word;
  }
  // Requires: called once. The event may be destroyed as soon as a waiter has returned, even
  // before set() has.
  URGE_API void set() noexcept;

  void wait() noexcept {
    if (!is_set()) wait_slow(never_ns);
  }
  // False if CLOCK_MONOTONIC reached deadline_ns first.
  bool wait_until_ns(std::uint64_t deadline_ns) noexcept {
    return is_set() || wait_slow(deadline_ns);
  }

 private:
  static constexpr std::uint64_t never_ns = ~std::uint64_t{0};
  static constexpr std::uintptr_t set_word = 1;
  static constexpr std::uintptr_t locked_bit = 2;
  struct node;

  URGE_API bool wait_slow(std::uint64_t deadline_ns) noexcept;
  std::uintptr_t lock_unless_set() noexcept;
  bool remove(node* self) noexcept;

  std::atomic<std::uintptr_t> word_{0};
};

}  // namespace urge::detail

#endif  // URGE_DETAIL_EVENT_H_

// Locks and gatherings for goroutines and plain threads alike: who waits blocks only itself, not
// the thread other goroutines need.

#ifndef URGE_SYNC_H_
#define URGE_SYNC_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <urge/detail/export.h>
#include <urge/detail/spawn.h>

namespace urge {

// Mutual exclusion; satisfies Lockable, so std::lock_guard, std::unique_lock and
// std::scoped_lock work with it. Not recursive; it doesn't belong to a goroutine: another one may
// unlock it. May be destroyed by the next owner as soon as it has unlocked it.
//
// Normally whoever comes first gets it, running goroutines before those that must be woken first:
// that is fast. Once somebody has waited for 1 ms it is handed from owner to waiter in order of
// arrival, until a waiter had less to wait or is the last: so nobody starves.
// Go: sync.Mutex.
class mutex {
 public:
  constexpr mutex() noexcept = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  void lock() noexcept {
    std::uint32_t free = 0;
    // Acquire: pairs with the release in unlock(); the previous owner's writes are seen.
    if (!state_.compare_exchange_strong(free, locked_bit, std::memory_order_acquire,
                                        std::memory_order_relaxed)) [[unlikely]] {
      lock_slow();
    }
  }
  [[nodiscard]] bool try_lock() noexcept {
    std::uint32_t free = 0;
    return state_.compare_exchange_strong(free, locked_bit, std::memory_order_acquire,
                                          std::memory_order_relaxed) ||
           ((free & (locked_bit | starving_bit)) == 0 && try_lock_slow());
  }
  // Unlocking a mutex that isn't locked ends the process: "urge::mutex: unlock of unlocked mutex".
  void unlock() noexcept {
    std::uint32_t held = locked_bit;
    // Release: pairs with the acquire in lock().
    if (!state_.compare_exchange_strong(held, 0, std::memory_order_release,
                                        std::memory_order_relaxed)) [[unlikely]] {
      unlock_slow();
    }
  }

 private:
  friend struct mutex_access;
  // runtime/sync/mutex.cc says what the bits mean.
  static constexpr std::uint32_t locked_bit = 1;
  static constexpr std::uint32_t queue_bit = 2;
  static constexpr std::uint32_t waiters_bit = 4;
  static constexpr std::uint32_t woken_bit = 8;
  static constexpr std::uint32_t starving_bit = 16;

  URGE_API void lock_slow() noexcept;
  URGE_API bool try_lock_slow() noexcept;
  URGE_API void unlock_slow() noexcept;

  std::atomic<std::uint32_t> state_{0};
  void* first_ = nullptr;  // [queue_bit] of those who wait
  void* last_ = nullptr;   // [queue_bit]
};

// Waits until a number of things are done. May be destroyed as soon as the last wait() has
// returned. Go: sync.WaitGroup.
class wait_group {
 public:
  constexpr wait_group() noexcept = default;
  wait_group(const wait_group&) = delete;
  wait_group& operator=(const wait_group&) = delete;

  // Adds to the count of things to wait for; when it becomes zero everybody waiting goes on.
  // Unlike Go's, a wait group may be used again while those released are still returning.
  // Errors: std::logic_error if the count would become negative or exceed INT_MAX, or if it is
  // raised from zero just as others wait for zero; the count is then as it was.
  void add(int delta) {
    // Release: what was done before done() is seen after wait(); acquire: by whoever wakes.
    const std::uint64_t old =
        state_.fetch_add(static_cast<std::uint64_t>(static_cast<std::int64_t>(delta)) << 32,
                         std::memory_order_acq_rel);
    const std::int64_t before = static_cast<std::int32_t>(old >> 32);
    const std::int64_t after = before + delta;
    const bool waiters = static_cast<std::uint32_t>(old) != 0;
    if (after < 0 || after > INT32_MAX || (waiters && (before == 0 || after == 0))) [[unlikely]] {
      add_slow(delta, before, after);
    }
  }
  void done() { add(-1); }

  // Blocks until the count is zero.
  void wait() noexcept {
    // Acquire: pairs with add().
    if (state_.load(std::memory_order_acquire) >> 32 != 0) wait_slow();
  }

  // Runs f(args...) as a goroutine that counts until it has returned. Errors: as urge::go.
  template <class F, class... A>
  [[gnu::always_inline]] void go(F&& f, A&&... args) {
    detail::require_callable<std::decay_t<F>>(f, "urge::wait_group::go: null function");
    auto call = detail::bind_call(std::forward<F>(f), std::forward<A>(args)...);
    add(1);
    struct undo {
      wait_group* group;
      ~undo() {
        if (group != nullptr) group->done();
      }
    } guard{this};
    detail::spawn(nullptr, counted_call<decltype(call)>{this, std::move(call)});
    guard.group = nullptr;
  }

 private:
  friend struct wait_group_access;

  // The closure is destroyed before the group hears of it, so that what it refers to may go.
  template <class Call>
  struct counted_call {
    wait_group* group;
    std::optional<Call> call;
    void operator()() && {
      static_cast<void>((*std::move(call))());
      call.reset();
      group->done();
    }
  };

  URGE_API void add_slow(int delta, std::int64_t before, std::int64_t after);
  URGE_API void wait_slow() noexcept;

  std::atomic<std::uint64_t> state_{0};  // count in the upper half, waiters in the lower
  std::atomic<std::uint32_t> lock_{0};   // base::WordLock
  void* waiters_ = nullptr;              // [lock_] a list of sched::Waiter
};

}  // namespace urge

#endif  // URGE_SYNC_H_

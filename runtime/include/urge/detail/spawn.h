// How a callable reaches the stack of the goroutine that will run it, without a heap allocation.
//
//  1. spawn_prepare() takes a dead or new goroutine and returns room at the top of its stack.
//  2. The caller's code constructs the closure there. It may throw or be preempted: the goroutine
//     is in no list yet and belongs to the caller alone.
//  3. spawn_commit() makes the goroutine runnable; spawn_abandon() gives it back.
//
// Nothing here locks, or reads the state of the thread's scheduler, outside the three calls.
// Source: Go's newproc and newproc1, where the compiler builds the closure.

#ifndef URGE_DETAIL_SPAWN_H_
#define URGE_DETAIL_SPAWN_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

#include <urge/detail/export.h>

namespace urge {

struct go_options;

namespace detail {

struct spawn_slot {
  void* closure;    // `bytes` bytes of storage, aligned to `align`
  void* goroutine;  // opaque
};

// Errors: std::invalid_argument for options out of range, std::bad_alloc when no stack can be had.
// options may be null.
URGE_API spawn_slot spawn_prepare(std::size_t bytes, std::size_t align, const go_options* options);
// `invoke` runs on the new goroutine with the closure's address, and destroys the closure.
// `entry` is the user's function in it, for tracebacks and traces; null if that has no address.
URGE_API void spawn_commit(void* goroutine, void (*invoke)(void*), const void* entry) noexcept;
URGE_API void spawn_abandon(void* goroutine) noexcept;

// Closures above this size (bytes) live on the heap instead of the new stack.
inline constexpr std::size_t max_inline_closure = 4096;

// True for callables that have a null state and are in it: function and member pointers,
// std::function and its kin.
template <class F>
constexpr bool is_null_callable(const F& f) {
  if constexpr (std::is_pointer_v<F> || std::is_member_pointer_v<F>) {
    return f == nullptr;
  } else if constexpr (std::is_class_v<F> && std::is_constructible_v<F, std::nullptr_t> &&
                       std::is_constructible_v<bool, const F&>) {
    return !static_cast<bool>(f);
  } else {
    return false;
  }
}

template <class F>
void require_callable(const F& f, const char* message) {
  if (is_null_callable(f)) throw std::invalid_argument(message);
}

// Calls `*p` once, as an rvalue, and destroys it. An exception finds no handler between here and
// the bottom of the stack, so std::terminate is called with the stack still intact.
template <class Closure>
void invoke_closure(void* p) {
  auto* closure = static_cast<Closure*>(p);
  struct destroy {
    Closure* closure;
    ~destroy() { closure->~Closure(); }
  } guard{closure};
  std::move (*closure)();
}

// A callable with its decayed arguments, called as std::thread calls them.
template <class F, class... A>
struct bound_call {
  F f;
  std::tuple<A...> args;
  decltype(auto) operator()() && { return std::apply(std::move(f), std::move(args)); }
};

// The plain function that a callable is or wraps, or null.
template <class F>
const void* entry_of(const F& f) {
  if constexpr (std::is_pointer_v<F>) {
    return reinterpret_cast<const void*>(f);
  } else {
    return nullptr;
  }
}
template <class F, class... A>
const void* entry_of(const bound_call<F, A...>& call) {
  return entry_of(call.f);
}

// Inlined into go and async, and these into their callers, so that the return address of
// spawn_prepare is where a traceback says that the goroutine was created.
template <class Closure>
[[gnu::always_inline]] inline void spawn(const go_options* options, Closure&& closure) {
  using Stored = std::decay_t<Closure>;
  if constexpr (sizeof(Stored) > max_inline_closure || alignof(Stored) > 64) {
    auto boxed = std::make_unique<Stored>(std::forward<Closure>(closure));
    spawn(options, [boxed = std::move(boxed)]() mutable { std::move (*boxed)(); });
  } else {
    const void* const entry = entry_of(closure);
    const spawn_slot slot = spawn_prepare(sizeof(Stored), alignof(Stored), options);
    if constexpr (std::is_nothrow_constructible_v<Stored, Closure&&>) {
      ::new (slot.closure) Stored(std::forward<Closure>(closure));
    } else {
      try {
        ::new (slot.closure) Stored(std::forward<Closure>(closure));
      } catch (...) {
        spawn_abandon(slot.goroutine);
        throw;
      }
    }
    spawn_commit(slot.goroutine, &invoke_closure<Stored>, entry);
  }
}

// decay-copies f and args, as std::thread does.
template <class F, class... A>
auto bind_call(F&& f, A&&... args) {
  if constexpr (sizeof...(A) == 0) {
    return std::decay_t<F>(std::forward<F>(f));
  } else {
    return bound_call<std::decay_t<F>, std::decay_t<A>...>{
        std::forward<F>(f), std::tuple<std::decay_t<A>...>(std::forward<A>(args)...)};
  }
}

}  // namespace detail
}  // namespace urge

#endif  // URGE_DETAIL_SPAWN_H_

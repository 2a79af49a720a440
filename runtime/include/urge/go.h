// Goroutines: starting them, yielding, identity, threads.

#ifndef URGE_GO_H_
#define URGE_GO_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <urge/detail/export.h>
#include <urge/detail/spawn.h>

namespace urge {

// Key and value pairs that a goroutine carries and its children inherit; they show in tracebacks
// and profiles. Go: pprof labels.
using label_list = std::vector<std::pair<std::string, std::string>>;

struct go_options {
  // Shown in tracebacks; at most 31 bytes are kept.
  std::string_view name{};
  // Bytes of stack, rounded up to pages; 0 means options::stack_size. 32 KiB to 1 GiB.
  std::size_t stack_size = 0;
  // Added to the parent's labels; a key of the parent's is replaced.
  label_list labels{};
};

// Runs f(args...) as a goroutine. The callable and the arguments are decay-copied, as by
// std::thread, onto the new goroutine's own stack; f's result is dropped. Callable from
// goroutines and from any thread; starts the runtime if it isn't running.
// Errors: std::invalid_argument for a null f; std::bad_alloc when there is no memory for a stack;
// std::system_error when the runtime can't start; whatever copying f or args throws. An exception
// that leaves f ends the process by std::terminate after the goroutine's traceback.
// Go: the go statement.
template <class F, class... A>
[[gnu::always_inline]] inline void go(F&& f, A&&... args) {
  detail::require_callable<std::decay_t<F>>(f, "urge::go: null function");
  detail::spawn(nullptr, detail::bind_call(std::forward<F>(f), std::forward<A>(args)...));
}
template <class F, class... A>
[[gnu::always_inline]] inline void go(const go_options& options, F&& f, A&&... args) {
  detail::require_callable<std::decay_t<F>>(f, "urge::go: null function");
  detail::spawn(&options, detail::bind_call(std::forward<F>(f), std::forward<A>(args)...));
}

// Lets other goroutines run; the caller goes to the back of its processor's queue. On a thread
// that is no goroutine: std::this_thread::yield(). Go: runtime.Gosched.
URGE_API void yield();

// The calling goroutine's id, never reused; 0 outside a goroutine.
[[nodiscard]] URGE_API std::uint64_t goid() noexcept;

// Labels of the calling goroutine; empty outside of one.
[[nodiscard]] URGE_API label_list labels();

// Wires the calling goroutine to its thread until as many unlock_os_thread calls: no other
// goroutine runs on the thread, and this one runs on no other. A goroutine that ends while it is
// wired takes its thread with it. No effect outside a goroutine. Go: runtime.LockOSThread.
URGE_API void lock_os_thread();
// No effect when the goroutine isn't wired.
URGE_API void unlock_os_thread();

namespace detail {
URGE_API void blocking_enter() noexcept;
URGE_API void blocking_leave() noexcept;
}  // namespace detail

// Calls f, which may block the thread; other goroutines go on meanwhile on another thread. The
// goroutine goes on on the same thread afterwards. Returns or throws what f does.
// Go: entersyscallblock and exitsyscall.
template <class F>
decltype(auto) blocking(F&& f) {
  detail::require_callable<std::decay_t<F>>(f, "urge::blocking: null function");
  detail::blocking_enter();
  struct leave {
    ~leave() { detail::blocking_leave(); }
  } guard;
  return std::forward<F>(f)();
}

}  // namespace urge

#include <urge/future.h>  // async

#endif  // URGE_GO_H_

// Starting, sizing and running the scheduler.

#ifndef URGE_RUNTIME_H_
#define URGE_RUNTIME_H_

#include <chrono>
#include <cstddef>
#include <utility>

#include <urge/detail/export.h>
#include <urge/future.h>

namespace urge {

// Every field has a default that follows the environment: URGE_MAXPROCS, URGE_SLICE and
// URGE_DEBUG set what the program leaves at its default.
struct options {
  // How many goroutines run at once; 0: URGE_MAXPROCS, else the CPUs the process may use. 0 to
  // 1024.
  int procs = 0;
  // How long a goroutine may run while others wait; 0: URGE_SLICE, else 10 ms. 20 us to 10 s.
  std::chrono::nanoseconds slice{0};
  // The mark in the guard word, which function prologues built with -fsplit-stack check.
  bool cooperative_preempt = true;
  // The signal, for code without prologues.
  bool async_preempt = true;
  // A goroutine that wakes while all processors are busy takes one from a long runner at once.
  bool wakeup_preempt = true;
  // Bytes of a goroutine's stack (32 KiB to max_stack) and the most that one may ask for.
  std::size_t stack_size = 256 * 1024;
  std::size_t max_stack = std::size_t{1} << 30;
};

// Starts the runtime. Optional: the first go, async or run starts it with the defaults.
// Errors: std::logic_error if it is already running; std::invalid_argument for an option out of
// range or a bad URGE_ variable; std::system_error if threads or memory can't be had.
URGE_API void start(const options& options = {});

// How many goroutines can run at once. Go: GOMAXPROCS(0).
[[nodiscard]] URGE_API int procs();
// Changes it and returns the former value. Stops the world for a moment.
// Errors: std::invalid_argument unless 1 <= n <= 1024; std::system_error (timed_out) if some
// goroutine could not be stopped, in which case nothing has changed.
URGE_API int set_procs(int n);

// How many goroutines exist, without the runtime's own.
[[nodiscard]] URGE_API std::size_t goroutines();

// Runs main as a goroutine and blocks the calling thread until it returns; yields its value or
// rethrows its exception. The runtime stays up afterwards. In a goroutine only the goroutine
// blocks.
template <class F>
decltype(auto) run(F&& main) {
  return urge::async(std::forward<F>(main)).get();  // not std::async, for a std::function
}
// As start(options), then run(main).
template <class F>
decltype(auto) run(const options& options, F&& main) {
  detail::require_callable<std::decay_t<F>>(main, "urge::run: null function");
  start(options);
  return run(std::forward<F>(main));
}

}  // namespace urge

#endif  // URGE_RUNTIME_H_

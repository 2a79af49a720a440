// Time: sleeping, and channels that time fills.

#ifndef URGE_TIME_H_
#define URGE_TIME_H_

#include <chrono>
#include <cstdint>
#include <type_traits>

#include <urge/chan.h>
#include <urge/detail/clock.h>
#include <urge/detail/export.h>

namespace urge {
namespace detail {
// deadline_ns is CLOCK_MONOTONIC. A deadline that has passed yields.
URGE_API void sleep_until_ns(std::uint64_t deadline_ns) noexcept;
URGE_API chan_core* after_ns(std::uint64_t deadline_ns);
}  // namespace detail

// Blocks the calling goroutine, or the thread if it is none, for at least d; zero or less yields.
// Go: time.Sleep.
template <class Rep, class Period>
void sleep_for(const std::chrono::duration<Rep, Period>& d) {
  detail::sleep_until_ns(detail::saturated_ns(d) <= 0 ? 0 : detail::deadline_after(d));
}

// Blocks until the clock shows t. If that clock can be set, what it shows when the sleep ends
// decides whether it goes on.
template <class Clock, class Duration>
void sleep_until(const std::chrono::time_point<Clock, Duration>& t) {
  detail::sleep_until_ns(detail::deadline_at(t));
  if constexpr (!std::is_same_v<Clock, std::chrono::steady_clock>) {
    while (Clock::now() < t) detail::sleep_until_ns(detail::deadline_at(t));
  }
}

// A channel that receives the time once, after d. Dropping its last handle stops the timer.
// Starts the runtime if it isn't running.
// Errors: std::bad_alloc; std::system_error when the runtime can't start. Go: time.After.
template <class Rep, class Period>
[[nodiscard]] chan<std::chrono::steady_clock::time_point> after(
    const std::chrono::duration<Rep, Period>& d) {
  return detail::chan_access::adopt<std::chrono::steady_clock::time_point>(
      detail::after_ns(detail::deadline_after(d)));
}

}  // namespace urge

#endif  // URGE_TIME_H_

// Durations and time points of any clock as nanoseconds of CLOCK_MONOTONIC, without overflow.

#ifndef URGE_DETAIL_CLOCK_H_
#define URGE_DETAIL_CLOCK_H_

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>

#include <urge/detail/export.h>

namespace urge::detail {

// The end of time: the clock needs 292 years to get there.
inline constexpr std::int64_t forever_ns = std::numeric_limits<std::int64_t>::max();

// Rounds up, so that nobody wakes too early; saturates; not-a-number counts as zero.
template <class Rep, class Period>
constexpr std::int64_t saturated_ns(const std::chrono::duration<Rep, Period>& d) {
  constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
  if constexpr (std::is_floating_point_v<Rep>) {
    const long double ns = static_cast<long double>(d.count()) * Period::num / Period::den * 1e9L;
    if (ns >= static_cast<long double>(forever_ns)) return forever_ns;
    if (ns <= static_cast<long double>(lowest)) return lowest;
    return ns == ns ? static_cast<std::int64_t>(std::ceil(ns)) : 0;
  } else if constexpr (std::is_integral_v<Rep>) {
    __extension__ using wide = __int128;
    // |count| < 2^64 and the factor of any standard unit < 2^62.
    constexpr wide num = static_cast<wide>(Period::num) * 1'000'000'000;
    static_assert(num <= (wide{1} << 62) || Period::den == 1, "a unit of time too odd to convert");
    if constexpr (num > (wide{1} << 62)) {
      return d.count() > 0 ? forever_ns : d.count() < 0 ? lowest : 0;
    } else {
      const wide product = static_cast<wide>(d.count()) * num;
      wide ns = product / Period::den;
      if (ns * Period::den < product) ++ns;
      return ns >= forever_ns ? forever_ns : ns <= lowest ? lowest : static_cast<std::int64_t>(ns);
    }
  } else {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
  }
}

// Now on CLOCK_MONOTONIC, which is steady_clock's.
inline std::int64_t steady_now_ns() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr std::int64_t saturated_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a > 0 ? forever_ns : std::numeric_limits<std::int64_t>::min();
}

// d from now, as a deadline; one that has passed is 0 or more.
template <class Rep, class Period>
std::uint64_t deadline_after(const std::chrono::duration<Rep, Period>& d) {
  const std::int64_t ns = saturated_ns(d);
  const std::int64_t now = steady_now_ns();
  return static_cast<std::uint64_t>(ns <= 0 ? now : saturated_add(now, ns));
}

// The deadline of a time point. For a clock that can be set, the time until then as of now: ask
// again when it has passed.
template <class Clock, class Duration>
std::uint64_t deadline_at(const std::chrono::time_point<Clock, Duration>& t) {
  const std::int64_t then = saturated_ns(t.time_since_epoch());
  if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
    return then < 0 ? 0 : static_cast<std::uint64_t>(then);
  } else {
    const std::int64_t now = saturated_ns(Clock::now().time_since_epoch());
    const std::int64_t left = now < 0 && then > forever_ns + now ? forever_ns
                              : then <= now                      ? 0
                                                                 : then - now;
    return deadline_after(std::chrono::nanoseconds(left));
  }
}

}  // namespace urge::detail

#endif  // URGE_DETAIL_CLOCK_H_

// Relative time limits of calls that are begun again after an interruption of our making: each
// further call gets what is left.

#ifndef URGE_RUNTIME_INTERPOSE_LIMIT_H_
#define URGE_RUNTIME_INTERPOSE_LIMIT_H_

#include <time.h>

#include <cstdint>
#include <utility>

#include "runtime/base/os.h"
#include "runtime/interpose/goroutine.h"
#include "runtime/interpose/turn.h"

namespace urge::interpose {

inline constexpr std::uint64_t kNsPerS = 1'000'000'000;

// What is left of a relative time limit. The first answer is the caller's own value.
class Limit {
 public:
  explicit Limit(std::uint64_t limit_ns) : end_ns_(EndOf(limit_ns)) {}

  std::uint64_t LeftNs() const {
    const std::uint64_t now = base::NowNs();
    return now < end_ns_ ? end_ns_ - now : 0;
  }
  timespec Left() const {
    const std::uint64_t ns = LeftNs();
    return {static_cast<time_t>(ns / kNsPerS), static_cast<long>(ns % kNsPerS)};
  }

 private:
  static std::uint64_t EndOf(std::uint64_t limit_ns) {
    const std::uint64_t now = base::NowNs();
    return limit_ns < base::kNever - now ? now + limit_ns : base::kNever;
  }

  const std::uint64_t end_ns_;
};

inline std::uint64_t NsOf(const timespec& t) {
  constexpr auto kMax = static_cast<time_t>(base::kNever / kNsPerS - 1);
  if (t.tv_sec > kMax) return base::kNever;
  return static_cast<std::uint64_t>(t.tv_sec) * kNsPerS + static_cast<std::uint64_t>(t.tv_nsec);
}

// Sleeps in the calling goroutine; what is left if somebody's handler woke it (calls.cc).
timespec Sleep(sched::M* m, timespec time);
inline bool IsZero(const timespec& t) { return t.tv_sec == 0 && t.tv_nsec == 0; }

// call(time), null meaning for ever.
template <class Call>
auto BlockFor(sched::M* m, const timespec* time, Call call) {
  if (time == nullptr || time->tv_sec < 0 || !IsValid(time)) {
    return Block(m, sched::SyscallKind::kShort, [&] { return call(time); });
  }
  const Limit limit(NsOf(*time));
  timespec left;
  const timespec* next = time;
  return Block(m, sched::SyscallKind::kShort, [&] {
    const timespec* now = std::exchange(next, &left);
    if (now == &left) left = limit.Left();
    return call(now);
  });
}

}  // namespace urge::interpose

#endif  // URGE_RUNTIME_INTERPOSE_LIMIT_H_

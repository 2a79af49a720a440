// Sleeping: a goroutine parks behind a timer in its own frame; a plain thread asks the kernel.

#include <time.h>

#include <cerrno>

#include <urge/go.h>
#include <urge/time.h>

#include "runtime/base/os.h"
#include "runtime/sched/park.h"
#include "runtime/sched/timer.h"

namespace urge::detail {
namespace {

using sched::G;
using sched::Timer;

void SleepThread(std::uint64_t deadline_ns) {
  const int saved_errno = errno;
  const timespec t{static_cast<time_t>(deadline_ns / 1'000'000'000),
                   static_cast<long>(deadline_ns % 1'000'000'000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) == EINTR) {
  }
  errno = saved_errno;
}

void SleepGoroutine(G* gp, std::uint64_t deadline_ns) {
  Timer timer;
  timer.when_ns = deadline_ns;
  timer.arg = gp;
  timer.callback = [](Timer* fired, std::uint64_t) {
    // The frame with the timer is gone once its goroutine is ready.
    sched::Ready(static_cast<G*>(fired->arg));
  };
  // Armed only after the switch: it may fire at once, elsewhere.
  sched::Park(
      [](G*, void* armed) {
        sched::StartTimer(static_cast<Timer*>(armed));
        return true;
      },
      &timer, sched::WaitReason::kSleep);
}

}  // namespace

void sleep_until_ns(std::uint64_t deadline_ns) noexcept {
  if (deadline_ns == 0 || deadline_ns <= base::NowNs()) {
    yield();
  } else if (G* gp = sched::CurrentG()) {
    SleepGoroutine(gp, deadline_ns);
  } else {
    SleepThread(deadline_ns);
  }
}

}  // namespace urge::detail

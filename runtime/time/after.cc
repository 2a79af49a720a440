// after(): a channel with a timer in it.
//
//  1. The timer lies in the channel's own memory (chan_core::extra) and holds no reference to it:
//     nothing is freed on g0, where its callback runs.
//  2. The callback sends the time into the channel's buffer of one, which never blocks.
//  3. When the last handle goes, the timer is stopped; if its callback is just running on another
//     thread, whoever drops the handle waits for its end, some tens of nanoseconds.

#include <chrono>
#include <new>

#include <urge/time.h>

#include "runtime/base/word_lock.h"
#include "runtime/sched/start.h"
#include "runtime/sched/timer.h"

namespace urge::detail {
namespace {

using time_point = std::chrono::steady_clock::time_point;
static_assert(is_inline_element<time_point>, "a callback must not allocate");

struct AfterTimer {
  sched::Timer timer;
  std::atomic<std::uint32_t> pending{1};  // [a] 0 when the callback has run
};

void Fire(sched::Timer* timer, std::uint64_t now_ns) {
  auto* after = reinterpret_cast<AfterTimer*>(timer);
  const time_point now{std::chrono::nanoseconds(now_ns)};
  static_cast<void>(static_cast<chan_core*>(timer->arg)->try_send(&now));
  // Release: pairs with Stop(); the last touch of the channel.
  after->pending.store(0, std::memory_order_release);
}

void Stop(void* extra) noexcept {
  auto* after = static_cast<AfterTimer*>(extra);
  if (!sched::StopTimer(&after->timer)) {
    base::SpinWait wait;
    while (after->pending.load(std::memory_order_acquire) != 0) wait.Once(after->pending, 1);
  }
  after->~AfterTimer();
}

}  // namespace

chan_core* after_ns(std::uint64_t deadline_ns) {
  sched::EnsureStarted();
  chan_core* const core = chan_core::create(1, sizeof(time_point), sizeof(AfterTimer), Stop);
  auto* const after = ::new (core->extra()) AfterTimer;
  after->timer.when_ns = deadline_ns;
  after->timer.callback = Fire;
  after->timer.arg = core;
  sched::StartTimer(&after->timer);
  return core;
}

}  // namespace urge::detail

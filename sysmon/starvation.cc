#include "sysmon/starvation.h"

#include <algorithm>

#include "runtime/base/ticks.h"
#include "runtime/sched/record.h"
#include "runtime/sched/sched.h"

namespace urge::sysmon {
namespace {

constinit std::uint64_t g_next_ns = 0;  // sysmon's own

}  // namespace

std::uint64_t LookForStarving(std::uint64_t now_ns) {
  const std::uint64_t most_ns = trace::starvation_ns.load(std::memory_order_relaxed);
  if (URGE_LIKELY(most_ns == 0)) return base::kNever;
  if (now_ns < g_next_ns) return g_next_ns;
  constexpr std::uint64_t kLeastPauseNs = 5'000'000;
  g_next_ns = now_ns + std::max(most_ns / 2, kLeastPauseNs);
  const std::uint64_t since = trace::recording_since.load(std::memory_order_relaxed);
  // The rate of the clock is known better by now than when this was set first.
  const std::uint64_t most = base::TicksOfNs(most_ns);
  trace::starvation_ticks.store(most, std::memory_order_relaxed);
  const std::uint64_t now = base::Ticks();
  bool waiters = false;
  for (const sched::G* gp = sched::FirstGoroutine(); gp != nullptr; gp = gp->all_next) {
    if (gp->status.load(std::memory_order_acquire) != sched::GStatus::kRunnable) continue;
    waiters = true;
    const std::uint64_t queued = gp->queued_ticks.load(std::memory_order_relaxed);
    if (queued < since || queued > now || now - queued < most) continue;
    const std::uint64_t goid = gp->goid;
    // The same wait of the same goroutine?
    if (gp->status.load(std::memory_order_acquire) != sched::GStatus::kRunnable ||
        gp->queued_ticks.load(std::memory_order_relaxed) != queued) {
      continue;
    }
    const std::uint64_t waited_ns = base::NsOfTicks(now - queued);
    sched::Record(trace::EventKind::kStarve, 0, goid, waited_ns);
    trace::ReportStarvation(goid, waited_ns);
    break;
  }
  return waiters ? g_next_ns : base::kNever;
}

}  // namespace urge::sysmon

#include "runtime/trace/stages.h"

#include <algorithm>

#include "runtime/base/ticks.h"

namespace urge::trace {

void RecordStages(ProcStats& stats, const RequestStamps& request, const StopStamps& stop) {
  const base::TickRate rate;
  std::uint64_t last = request.due.load(std::memory_order_relaxed);
  const auto stage = [&](Latency latency, std::uint64_t ticks) {
    if (ticks == 0) return;
    // A prologue may answer before the requester, on another core, has stamped the mark.
    const std::uint64_t since = last;
    last = std::max(last, ticks);
    stats.Record(latency, rate.Ns(last - since));
  };
  stage(Latency::kPreemptDetected, request.asked.load(std::memory_order_relaxed));
  stage(Latency::kPreemptMarked, request.marked.load(std::memory_order_relaxed));
  stage(Latency::kPreemptSignalled, request.signalled.load(std::memory_order_relaxed));
  stage(Latency::kPreemptHandled, request.handled.load(std::memory_order_relaxed));
  stage(Latency::kPreemptAccepted, stop.accepted);
  stage(Latency::kPreemptSwitchedOff, stop.switched_off);
  stage(Latency::kPreemptRequeued, stop.requeued);
  const std::uint64_t deferred = request.deferred.load(std::memory_order_relaxed);
  if (deferred != 0 && deferred <= stop.accepted) {
    stats.Record(Latency::kPreemptDeferred, rate.Ns(stop.accepted - deferred));
  }
}

void RecordNextRunning(ProcStats& stats, std::uint64_t due_ticks, std::uint64_t requeued_ticks,
                       std::uint64_t now_ticks) {
  const base::TickRate rate;
  if (now_ticks < requeued_ticks || now_ticks < due_ticks) return;
  stats.Record(Latency::kPreemptNextRunning, rate.Ns(now_ticks - requeued_ticks));
  stats.Record(Latency::kPreemptTotal, rate.Ns(now_ticks - due_ticks));
}

}  // namespace urge::trace

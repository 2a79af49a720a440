#include "runtime/trace/recording.h"

#include "runtime/base/os.h"

namespace urge::trace {

constinit std::atomic<bool> recording{false};
constinit EventRing shared_ring;
constinit std::atomic<std::size_t> ring_events{base::kTraceRingEvents};
constinit std::atomic<std::uint64_t> recording_since{0};
constinit std::atomic<std::uint64_t> starvation_ticks{0};
constinit std::atomic<std::uint64_t> starvation_ns{0};
constinit std::atomic<std::uint32_t> requests{0};
constinit Starvation starvation;

void Ask(Request request) {
  // release: what the request is about is seen with it.
  if ((requests.fetch_or(request, std::memory_order_release) & request) != 0) return;
  base::FutexWake(&requests, 1);
}

void ReportStarvation(std::uint64_t goid, std::uint64_t waited_ns) {
  std::uint64_t none = 0;
  if (!starvation.goid.compare_exchange_strong(none, goid, std::memory_order_relaxed)) return;
  starvation.waited_ns.store(waited_ns, std::memory_order_relaxed);
  Ask(kStarvationSeen);
}

}  // namespace urge::trace

// The registry of ProcStats and the sums over it.

#include "runtime/trace/counters.h"

#include "runtime/base/check.h"

namespace urge::trace {
namespace {

// Filled from the front, never emptied. A slot is claimed first and filled then, so readers skip
// null slots.
std::atomic<const ProcStats*> registry[base::kMaxProcs];
std::atomic<std::size_t> claimed{0};

template <class Visit>
void ForEachStats(Visit visit) {
  visit(shared_stats);
  const std::size_t n = claimed.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < n; ++i) {
    // Acquire: pairs with RegisterStats; publishes the construction of the stats.
    if (const ProcStats* stats = registry[i].load(std::memory_order_acquire)) visit(*stats);
  }
}

}  // namespace

constinit ProcStats shared_stats;

void RegisterStats(const ProcStats* stats) {
  const std::size_t slot = claimed.fetch_add(1, std::memory_order_relaxed);
  URGE_CHECK_MSG(slot < base::kMaxProcs, "more processors than kMaxProcs");
  // Release: pairs with ForEachStats.
  registry[slot].store(stats, std::memory_order_release);
}

std::uint64_t SumOf(Counter counter) {
  std::uint64_t sum = 0;
  ForEachStats([&](const ProcStats& stats) {
    sum += stats.counters[static_cast<std::size_t>(counter)].Read();
  });
  return sum;
}

void SumOf(Latency latency, HistogramSnapshot& sum) {
  ForEachStats([&](const ProcStats& stats) {
    stats.latencies[static_cast<std::size_t>(latency)].AddTo(sum);
  });
}

}  // namespace urge::trace

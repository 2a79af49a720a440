// Distributions of latencies as buckets: what a run keeps, writes, reads back and compares.

#ifndef URGE_STRESS_COMMON_DISTRIBUTION_H_
#define URGE_STRESS_COMMON_DISTRIBUTION_H_

#include <urge/metrics.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "runtime/trace/histogram.h"

namespace stress {

struct Distribution {
  // The values in [lower, upper).
  struct Bucket {
    std::uint64_t lower_ns = 0, upper_ns = 0, count = 0;
  };
  std::vector<Bucket> buckets;  // in rising order, none empty
  double mean_ns = 0;
  double max_ns = 0;

  std::uint64_t Count() const;
  bool empty() const { return buckets.empty(); }
  // The value that a share q of all doesn't exceed, by nearest rank, as the middle of its bucket:
  // what urge::latency_distribution says. 0 when empty.
  double Quantile(double q) const;
  // The inverse of the distribution function, values lying evenly in their buckets: continuous,
  // where Quantile has steps.  Requires: not empty.
  double Interpolate(double q) const;
  double StandardDeviation() const;
};
void VisitDistribution(auto& archive, Distribution& d) {
  archive.Values(d.mean_ns, d.max_ns);
  archive.List(d.buckets,
               [&](Distribution::Bucket& b) { archive.Values(b.lower_ns, b.upper_ns, b.count); });
}

Distribution DistributionOf(const urge::latency_distribution& d);

// What came to `earlier`, which became `later`. The maximum is then known to 3 % only.
Distribution Difference(const Distribution& later, const Distribution& earlier);

// Collects latencies that the program measures itself, in buckets like the runtime's. One writer;
// Get at any time, from any thread.
class DistributionRecorder {
 public:
  void Add(std::uint64_t ns) {
    Bump(counts_[urge::trace::HistogramBuckets::IndexOf(ns)], 1);
    Bump(sum_ns_, ns);
    if (ns > max_ns_.load(std::memory_order_relaxed)) {
      max_ns_.store(ns, std::memory_order_relaxed);
    }
  }
  Distribution Get() const;

 private:
  using Counter = std::atomic<std::uint64_t>;  // relaxed: statistics, read while they grow
  static void Bump(Counter& counter, std::uint64_t n) {
    counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  std::array<Counter, urge::trace::HistogramBuckets::kCount> counts_{};
  Counter sum_ns_{0};
  Counter max_ns_{0};
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_DISTRIBUTION_H_

// Reading histograms: snapshots, quantiles, sums.

#include "runtime/trace/histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace urge::trace {

std::uint64_t HistogramSnapshot::Count() const {
  return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
}

double HistogramSnapshot::MeanNs() const {
  const std::uint64_t count = Count();
  return count == 0 ? 0.0 : static_cast<double>(sum_ns) / static_cast<double>(count);
}

std::uint64_t HistogramSnapshot::QuantileNs(double q) const {
  const std::uint64_t count = Count();
  if (count == 0) return 0;
  if (q >= 1.0) return max_ns;
  // The rank of the value sought, from 1 (nearest-rank definition).
  const double exact = std::ceil(std::max(q, 0.0) * static_cast<double>(count));
  const std::uint64_t rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(exact), 1, count);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (seen >= rank) {
      // The maximum is exact, and the last bucket has no upper bound.
      if (i == HistogramBuckets::IndexOf(max_ns) && seen == count && rank == count) return max_ns;
      const std::uint64_t middle =
          HistogramBuckets::LowerBound(i) + (HistogramBuckets::Width(i) - 1) / 2;
      return std::min(middle, max_ns);
    }
  }
  return max_ns;
}

void HistogramSnapshot::Merge(const HistogramSnapshot& other) {
  for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
  sum_ns += other.sum_ns;
  max_ns = std::max(max_ns, other.max_ns);
}

void Histogram::AddTo(HistogramSnapshot& to) const {
  for (std::size_t i = 0; i < buckets_.size(); ++i) to.buckets[i] += buckets_[i].Read();
  to.sum_ns += sum_ns_.Read();
  to.max_ns = std::max(to.max_ns, max_ns_.Read());
}

}  // namespace urge::trace

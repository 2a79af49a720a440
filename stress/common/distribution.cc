// Quantiles over buckets.

#include "stress/common/distribution.h"

#include <algorithm>
#include <cmath>

namespace stress {
namespace {

// As urge::latency_distribution has it.
double MiddleOf(const Distribution::Bucket& b) {
  return static_cast<double>(b.lower_ns + (b.upper_ns - b.lower_ns - 1) / 2);
}

}  // namespace

std::uint64_t Distribution::Count() const {
  std::uint64_t count = 0;
  for (const Bucket& b : buckets) count += b.count;
  return count;
}

double Distribution::Quantile(double q) const {
  if (q >= 1) return max_ns;
  const std::uint64_t count = Count();
  const double exact = std::ceil(std::max(q, 0.0) * static_cast<double>(count));
  const std::uint64_t rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(exact), 1);
  std::uint64_t seen = 0;
  for (const Bucket& b : buckets) {
    seen += b.count;
    if (seen < rank) continue;
    return rank == count ? max_ns : std::min(MiddleOf(b), max_ns);
  }
  return max_ns;
}

double Distribution::Interpolate(double q) const {
  const double sought = q * static_cast<double>(Count());
  double seen = 0;
  for (const Bucket& b : buckets) {
    const auto count = static_cast<double>(b.count);
    if (seen + count >= sought) {
      const double width = static_cast<double>(b.upper_ns - b.lower_ns);
      const double share = std::max(sought - seen, 0.0) / count;
      return std::min(static_cast<double>(b.lower_ns) + share * width, max_ns);
    }
    seen += count;
  }
  return max_ns;
}

double Distribution::StandardDeviation() const {
  double squares = 0;
  for (const Bucket& b : buckets) {
    const double off = std::min(MiddleOf(b), max_ns) - mean_ns;
    squares += off * off * static_cast<double>(b.count);
  }
  return empty() ? 0 : std::sqrt(squares / static_cast<double>(Count()));
}

Distribution DistributionOf(const urge::latency_distribution& d) {
  Distribution result;
  d.for_each_bucket(
      [&](std::chrono::nanoseconds lower, std::chrono::nanoseconds upper, std::uint64_t count) {
        result.buckets.push_back({static_cast<std::uint64_t>(lower.count()),
                                  static_cast<std::uint64_t>(upper.count()), count});
      });
  result.mean_ns = static_cast<double>(d.mean().count());
  result.max_ns = static_cast<double>(d.max().count());
  return result;
}

Distribution Difference(const Distribution& later, const Distribution& earlier) {
  Distribution result;
  auto before = earlier.buckets.begin();
  for (const Distribution::Bucket& b : later.buckets) {
    while (before != earlier.buckets.end() && before->lower_ns < b.lower_ns) ++before;
    const bool known = before != earlier.buckets.end() && before->lower_ns == b.lower_ns;
    const std::uint64_t old = known ? before->count : 0;
    if (b.count > old) result.buckets.push_back({b.lower_ns, b.upper_ns, b.count - old});
  }
  if (result.empty()) return result;
  const double sum = later.mean_ns * static_cast<double>(later.Count()) -
                     earlier.mean_ns * static_cast<double>(earlier.Count());
  result.mean_ns = std::max(sum, 0.0) / static_cast<double>(result.Count());
  const double bound = static_cast<double>(result.buckets.back().upper_ns - 1);
  result.max_ns = later.max_ns > earlier.max_ns ? later.max_ns : std::min(bound, later.max_ns);
  return result;
}

Distribution DistributionRecorder::Get() const {
  using Buckets = urge::trace::HistogramBuckets;
  Distribution result;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const std::uint64_t count = counts_[i].load(std::memory_order_relaxed);
    if (count == 0) continue;
    const std::uint64_t lower = Buckets::LowerBound(i);
    result.buckets.push_back({lower, lower + Buckets::Width(i), count});
  }
  if (!result.empty()) {
    result.mean_ns = static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) /
                     static_cast<double>(result.Count());
  }
  result.max_ns = static_cast<double>(max_ns_.load(std::memory_order_relaxed));
  return result;
}

}  // namespace stress

// Sorting buckets into bins.

#include "stress/common/log_bins.h"

#include <algorithm>
#include <cmath>

namespace stress {

LogBins::LogBins(const Distribution& d, int most, int finest, Placement placement) {
  const double low = std::max(1.0, static_cast<double>(d.buckets.front().lower_ns));
  const double high = std::max(low, d.max_ns);
  for (const int per_decade : {80, 40, 20, 10, 5, 3, 2, 1}) {
    if (per_decade > finest) continue;
    per_decade_ = per_decade;
    first_ = IndexOf(low);
    const int last = IndexOf(high);
    counts_.assign(static_cast<std::size_t>(last - first_ + 1), 0);
    if (last - first_ < most) break;
  }
  for (const Distribution::Bucket& b : d.buckets) {
    if (placement == kSpread) {
      Spread(b);
      continue;
    }
    const double middle = static_cast<double>(b.lower_ns + b.upper_ns - 1) / 2;
    const int index = IndexOf(std::clamp(middle, low, high)) - first_;
    counts_[static_cast<std::size_t>(index)] += static_cast<double>(b.count);
  }
}

void LogBins::Spread(const Distribution::Bucket& b) {
  const double lower = std::max(1.0, static_cast<double>(b.lower_ns));
  const double upper = std::max(lower + 1, static_cast<double>(b.upper_ns));
  double left = static_cast<double>(b.count);
  const double per_ns = left / (upper - lower);
  for (auto bin = static_cast<std::size_t>(IndexOf(lower) - first_); bin < size(); ++bin) {
    // The last bin takes what the maximum cuts off.
    const double to = bin + 1 == size() ? upper : std::min(upper, Edge(bin + 1));
    const double part = std::min(left, per_ns * std::max(0.0, to - std::max(lower, Edge(bin))));
    counts_[bin] += part;
    left -= part;
  }
}

double LogBins::Edge(std::size_t bin) const {
  return std::pow(10, static_cast<double>(first_ + static_cast<int>(bin)) / per_decade_);
}

int LogBins::IndexOf(double ns) const {
  // With room for rounding, so that 1000 is in the bin that begins with 1000.
  return static_cast<int>(std::floor(std::log10(ns) * per_decade_ + 1e-9));
}

}  // namespace stress

// Quantiles over thinned samples; Jain's index.

#include "stress/common/stats.h"

#include <algorithm>
#include <cmath>

namespace stress {

void Samples::Keep(std::uint64_t value) {
  if (kept_.size() == kCapacity) {
    for (std::size_t i = 0; i < kCapacity / 2; ++i) kept_[i] = kept_[2 * i];
    kept_.resize(kCapacity / 2);
    stride_ *= 2;
  }
  kept_.push_back(value);
}

Summary Samples::Summarize(std::span<const Samples* const> sets, double scale) {
  // A kept value stands for `stride` samples of its set.
  struct Weighted {
    std::uint64_t value, weight;
  };
  std::vector<Weighted> all;
  Summary summary;
  std::uint64_t max = 0;
  std::uint64_t total = 0;
  for (const Samples* set : sets) {
    summary.count += set->count_;
    max = std::max(max, set->max_);
    for (const std::uint64_t value : set->kept_) all.push_back({value, set->stride_});
    total += set->kept_.size() * set->stride_;
  }
  if (all.empty()) return summary;
  std::sort(all.begin(), all.end(),
            [](const Weighted& a, const Weighted& b) { return a.value < b.value; });
  const auto quantile = [&](double q) {
    const double rank = std::ceil(q * static_cast<double>(total));
    std::uint64_t seen = 0;
    for (const Weighted& w : all) {
      seen += w.weight;
      if (static_cast<double>(seen) >= rank) return static_cast<double>(w.value) * scale;
    }
    return static_cast<double>(max) * scale;
  };
  summary.p50 = quantile(0.50);
  summary.p99 = quantile(0.99);
  summary.max = static_cast<double>(max) * scale;
  return summary;
}

double JainIndex(std::span<const double> served) {
  double sum = 0, squares = 0;
  for (const double x : served) {
    sum += x;
    squares += x * x;
  }
  return squares == 0 ? 1.0 : sum * sum / (static_cast<double>(served.size()) * squares);
}

}  // namespace stress

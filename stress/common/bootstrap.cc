// Drawing replicates.

#include "stress/common/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace stress {
namespace {

// The inverse of a distribution function, in a form that is quick to ask.
class Resampler {
 public:
  Resampler(const Distribution& d, double q) : d_(d), max_(d.max_ns) {
    double seen = 0;
    for (const Distribution::Bucket& b : d.buckets) {
      seen += static_cast<double>(b.count);
      cumulative_.push_back(seen);
    }
    const double rank = std::clamp(std::ceil(q * seen), 1.0, seen);
    below_ = std::gamma_distribution<double>(rank);
    above_ = std::gamma_distribution<double>(seen - rank + 1);
  }
  double Draw(std::mt19937_64& random) {
    // A Beta variate is a share of two Gamma variates.
    const double below = below_(random), above = above_(random);
    return At(below / (below + above));
  }

 private:
  double At(double q) const {
    const double sought = q * cumulative_.back();
    const auto found = std::ranges::lower_bound(cumulative_, sought);
    if (found == cumulative_.end()) return max_;
    const auto index = static_cast<std::size_t>(found - cumulative_.begin());
    const Distribution::Bucket& b = d_.buckets[index];
    const double into = 1 - (*found - sought) / static_cast<double>(b.count);
    return std::min(
        static_cast<double>(b.lower_ns) + into * static_cast<double>(b.upper_ns - b.lower_ns),
        max_);
  }

  const Distribution& d_;
  double max_;
  std::vector<double> cumulative_;
  std::gamma_distribution<double> below_, above_;
};

Estimate IntervalOf(double value, const Bootstrap& how, const std::function<double()>& replicate) {
  std::vector<double> values(static_cast<std::size_t>(how.replicates));
  for (double& v : values) v = replicate();
  std::ranges::sort(values);
  const auto at = [&](double q) {
    return values[static_cast<std::size_t>(
        std::lround(q * static_cast<double>(values.size() - 1)))];
  };
  const double tail = (1 - how.confidence) / 2;
  return {value, at(tail), at(1 - tail)};
}

double MedianOf(std::vector<double>& values) {
  const std::size_t half = values.size() / 2;
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(half));
  if (values.size() % 2 != 0) return values[half];
  const double lower =
      *std::max_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(half));
  return (lower + values[half]) / 2;
}

double Ratio(double a, double b) { return a == b ? 1 : b / a; }

}  // namespace

bool QuantileIsKnown(const Distribution& d, double q) {
  constexpr double kLeast = 5;
  const auto count = static_cast<double>(d.Count());
  return q * count >= kLeast && (1 - q) * count >= kLeast;
}

Estimate BootstrapQuantile(const Distribution& d, double q, const Bootstrap& how) {
  std::mt19937_64 random(how.seed);
  Resampler resampler(d, q);
  return IntervalOf(d.Interpolate(q), how, [&] { return resampler.Draw(random); });
}

Estimate BootstrapRatio(const Distribution& a, const Distribution& b, double q,
                        const Bootstrap& how) {
  std::mt19937_64 random(how.seed);
  Resampler from_a(a, q), from_b(b, q);
  return IntervalOf(Ratio(a.Interpolate(q), b.Interpolate(q)), how, [&] {
    const double of_a = from_a.Draw(random);
    return Ratio(of_a, from_b.Draw(random));
  });
}

Estimate BootstrapMedian(std::span<const double> values, const Bootstrap& how) {
  std::mt19937_64 random(how.seed);
  std::uniform_int_distribution<std::size_t> index(0, values.size() - 1);
  std::vector<double> drawn(values.begin(), values.end());
  const double median = MedianOf(drawn);
  return IntervalOf(median, how, [&] {
    for (double& v : drawn) v = values[index(random)];
    return MedianOf(drawn);
  });
}

}  // namespace stress

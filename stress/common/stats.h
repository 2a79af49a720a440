// Samples, quantiles, and Jain's index of fairness.

#ifndef URGE_STRESS_COMMON_STATS_H_
#define URGE_STRESS_COMMON_STATS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace stress {

// Count, quantiles and maximum of a set of samples, in whatever unit these had.
struct Summary {
  std::uint64_t count = 0;
  double p50 = 0;
  double p99 = 0;
  double max = 0;
};
void VisitSummary(auto& archive, Summary& s) { archive.Values(s.count, s.p50, s.p99, s.max); }

// Keeps samples in a fixed amount of memory: exact up to kCapacity of them, then every second,
// every fourth … of them. Count and maximum are always exact. For one thread or goroutine.
class Samples {
 public:
  static constexpr std::size_t kCapacity = std::size_t{1} << 17;

  void Add(std::uint64_t value) {
    if (value > max_) max_ = value;
    if (count_++ % stride_ == 0) Keep(value);
  }
  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }

  // Quantiles over several sets together, each value times `scale`.
  static Summary Summarize(std::span<const Samples* const> sets, double scale);
  Summary Summarize(double scale) const {
    const Samples* self = this;
    return Summarize({&self, 1}, scale);
  }

 private:
  void Keep(std::uint64_t value);

  std::vector<std::uint64_t> kept_;
  std::uint64_t stride_ = 1;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

// (sum x)^2 / (n * sum x^2): 1 when all are served alike, 1/n when one gets everything. 1 if all
// are zero.  Source: Jain, Chiu, Hawe, DEC-TR-301 (1984).
double JainIndex(std::span<const double> served);

}  // namespace stress

#endif  // URGE_STRESS_COMMON_STATS_H_

// Confidence intervals by bootstrap: how much would a figure differ if the same had been measured
// again? A replicate draws as many values as there are, with replacement, from those there are.
//
//  - A quantile of n drawn values is their r-th smallest. The r-th smallest of n uniform numbers
//    has the distribution Beta(r, n - r + 1), so a replicate is the inverse of the distribution
//    function at one such number; millions of values needn't be drawn one by one.
//  - The interval is the percentile interval: what the middle share of all replicates spans.
//
// The draws are independent of one another; latencies that come in clumps (another program that
// took the processor for a second) vary more from run to run than the interval says.
// Source: Efron, Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

#ifndef URGE_STRESS_COMMON_BOOTSTRAP_H_
#define URGE_STRESS_COMMON_BOOTSTRAP_H_

#include <cstdint>
#include <random>
#include <span>

#include "stress/common/distribution.h"

namespace stress {

struct Bootstrap {
  double confidence = 0.95;
  int replicates = 2000;
  std::uint64_t seed = 1;
};

struct Estimate {
  double value = 0;
  double low = 0, high = 0;
};

// Whether there are at least five values on either side of the quantile; with fewer a bootstrap
// says nothing about it.
bool QuantileIsKnown(const Distribution& d, double q);

// A quantile of one distribution, and the ratio of b's to a's. The same seed gives the same.
// Requires: not empty.
Estimate BootstrapQuantile(const Distribution& d, double q, const Bootstrap& how);
Estimate BootstrapRatio(const Distribution& a, const Distribution& b, double q,
                        const Bootstrap& how);

// The median of a few values.  Requires: not empty.
Estimate BootstrapMedian(std::span<const double> values, const Bootstrap& how);

}  // namespace stress

#endif  // URGE_STRESS_COMMON_BOOTSTRAP_H_

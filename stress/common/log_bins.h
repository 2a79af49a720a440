// A distribution in bins of equal width on a logarithmic axis, for histograms that people look at.

#ifndef URGE_STRESS_COMMON_LOG_BINS_H_
#define URGE_STRESS_COMMON_LOG_BINS_H_

#include <cstddef>
#include <vector>

#include "stress/common/distribution.h"

namespace stress {

class LogBins {
 public:
  // What becomes of a bucket that lies in several bins: kWhole puts it where its middle is, so that
  // counts stay whole; kSpread gives each its part, so that bins that are hardly wider than buckets
  // don't look like a comb.
  enum Placement { kWhole, kSpread };

  // As many bins to a decade as make at most `most` bins, out of 80, 40, 20, 10, 5, 3, 2 and 1; no
  // more than `finest`. With 10 they begin at 1, 1.26, 1.58, 2 …  Requires: d is not empty.
  LogBins(const Distribution& d, int most, int finest, Placement placement);

  std::size_t size() const { return counts_.size(); }
  double CountOf(std::size_t bin) const { return counts_[bin]; }
  // Where a bin begins, in ns; that of size() is the end of the last.
  double Edge(std::size_t bin) const;

 private:
  int IndexOf(double ns) const;
  void Spread(const Distribution::Bucket& b);

  int per_decade_ = 0, first_ = 0;
  std::vector<double> counts_;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_LOG_BINS_H_

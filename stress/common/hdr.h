// HdrHistogram's percentile distribution in its text form, as its plotter and others read it.
//
// Source: HdrHistogram's outputPercentileDistribution and PercentileIterator: five rows for each
// halving of the distance to 100 %, the value of a row being the highest of its bucket.

#ifndef URGE_STRESS_COMMON_HDR_H_
#define URGE_STRESS_COMMON_HDR_H_

#include <functional>
#include <ostream>

#include "stress/common/distribution.h"

namespace stress {

// One row: `value_ns` isn't exceeded by a share `percentile` (0 to 1) of all values; `cumulative`
// of them lie in its bucket or below.
struct PercentileRow {
  double value_ns;
  double percentile;
  std::uint64_t cumulative;
};
// Rows in rising order; the last one, at 1, is the maximum. None if the distribution is empty.
void ForEachPercentile(const Distribution& d, const std::function<void(const PercentileRow&)>& row);

// In microseconds, with three decimals.
void WriteHdr(std::ostream& out, const Distribution& d);

}  // namespace stress

#endif  // URGE_STRESS_COMMON_HDR_H_

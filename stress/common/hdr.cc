// Writing percentile distributions.

#include "stress/common/hdr.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace stress {

void ForEachPercentile(const Distribution& d,
                       const std::function<void(const PercentileRow&)>& row) {
  constexpr double kTicksPerHalfDistance = 5, kRounding = 1e-12;
  const auto total = static_cast<double>(d.Count());
  double percentile = 0;
  std::uint64_t seen = 0;
  for (const Distribution::Bucket& b : d.buckets) {
    seen += b.count;
    const double value = std::min(static_cast<double>(b.upper_ns - 1), d.max_ns);
    const double share = static_cast<double>(seen) / total + kRounding;
    while (percentile < 1 && share >= percentile) {
      row({value, percentile, seen});
      const double halvings = std::floor(std::log2(1 / (1 - percentile))) + 1;
      percentile += 1 / (kTicksPerHalfDistance * std::exp2(halvings));
      // The highest values have one row before that of 100 %, as HdrHistogram has it.
      if (b.upper_ns == d.buckets.back().upper_ns) break;
    }
  }
  if (total != 0) row({d.max_ns, 1, seen});
}

void WriteHdr(std::ostream& out, const Distribution& d) {
  constexpr double kNsPerUs = 1000;
  char line[160];
  std::snprintf(line, sizeof line, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
                "1/(1-Percentile)");
  out << line;
  ForEachPercentile(d, [&](const PercentileRow& row) {
    const int n = std::snprintf(line, sizeof line, "%12.3f %2.12f %10llu", row.value_ns / kNsPerUs,
                                row.percentile, static_cast<unsigned long long>(row.cumulative));
    if (row.percentile < 1) {
      std::snprintf(line + n, sizeof line - static_cast<std::size_t>(n), " %14.2f",
                    1 / (1 - row.percentile));
    }
    out << line << '\n';
  });
  using Layout = urge::trace::HistogramBuckets;
  std::snprintf(line, sizeof line, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
                d.mean_ns / kNsPerUs, d.StandardDeviation() / kNsPerUs);
  out << line;
  std::snprintf(line, sizeof line, "#[Max     = %12.3f, Total count    = %12llu]\n",
                d.max_ns / kNsPerUs, static_cast<unsigned long long>(d.Count()));
  out << line;
  std::snprintf(line, sizeof line, "#[Buckets = %12zu, SubBuckets     = %12zu]\n",
                Layout::kCount / Layout::kSubBuckets, Layout::kSubBuckets);
  out << line;
}

}  // namespace stress

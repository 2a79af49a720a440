// What `metrics` holds, one figure after another, for writers that have a file of their own.

#ifndef URGE_RUNTIME_TRACE_METRIC_FIELDS_H_
#define URGE_RUNTIME_TRACE_METRIC_FIELDS_H_

#include <urge/metrics.h>

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string_view>

#include "runtime/trace/histogram.h"

namespace urge::trace {

// Visits every counter, then every distribution, by the names of the JSON form.
void ForEachMetric(
    const metrics& values,
    const std::function<void(std::string_view name, std::uint64_t total)>& counter,
    const std::function<void(std::string_view name, const HistogramSnapshot&)>& distribution);

// openmetrics.cc. Requires: `out` has the classic locale and default flags.
void WriteOpenMetrics(std::ostream& out, const metrics& values);

}  // namespace urge::trace

#endif  // URGE_RUNTIME_TRACE_METRIC_FIELDS_H_

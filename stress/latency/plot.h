// The pictures.

#ifndef URGE_STRESS_LATENCY_PLOT_H_
#define URGE_STRESS_LATENCY_PLOT_H_

#include <vector>

#include "stress/latency/files.h"
#include "stress/latency/options.h"
#include "stress/latency/result.h"
#include "stress/latency/sweep.h"

namespace latency {

// Into options.plot_directory; each picture as NAME.svg, NAME.png and NAME.gnuplot.
// Errors: std::runtime_error if gnuplot fails or a file can't be written.

// percentiles, stages, over_time, slices; one without data is left out.
void DrawRun(const Options& options, const RunResult& result);
// overhead
void DrawSweep(const Options& options, const std::vector<SweepPoint>& points);
// comparison
void DrawComparison(const Options& options, const SavedRun& a, const SavedRun& b);

}  // namespace latency

#endif  // URGE_STRESS_LATENCY_PLOT_H_

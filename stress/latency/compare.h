// Two runs, stage by stage.

#ifndef URGE_STRESS_LATENCY_COMPARE_H_
#define URGE_STRESS_LATENCY_COMPARE_H_

#include "stress/latency/options.h"

namespace latency {

// Reads both, prints, and writes the files that the options name. Returns the exit status.
// Errors: BadArgument for a file that is no run's.
int Compare(const Options& options);

}  // namespace latency

#endif  // URGE_STRESS_LATENCY_COMPARE_H_

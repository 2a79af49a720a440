// One run: hogs, what asks them to stop, and the runtime's figures while they do.

#ifndef URGE_STRESS_LATENCY_RUN_H_
#define URGE_STRESS_LATENCY_RUN_H_

#include "stress/latency/options.h"
#include "stress/latency/result.h"

namespace latency {

// Starts the runtime as the options say.
void StartRuntime(const Options& options);

// Starts the runtime, so it can be called once in a process.  Runs on: a plain thread.
RunResult MeasureRun(const Options& options);

}  // namespace latency

#endif  // URGE_STRESS_LATENCY_RUN_H_

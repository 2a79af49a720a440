// One phase: the hogs, tickers and the pair run together, with preemption or without.

#ifndef URGE_STRESS_FAIRNESS_PHASE_H_
#define URGE_STRESS_FAIRNESS_PHASE_H_

#include "stress/fairness/options.h"
#include "stress/fairness/result.h"

namespace fairness {

// Starts the runtime, so it can be called once in a process.  Runs on: a plain thread.
PhaseResult RunPhase(const Options& options, Mode mode);

}  // namespace fairness

#endif  // URGE_STRESS_FAIRNESS_PHASE_H_

// The report of a run, for people.

#ifndef URGE_STRESS_LATENCY_REPORT_H_
#define URGE_STRESS_LATENCY_REPORT_H_

#include <ostream>

#include "stress/latency/options.h"
#include "stress/latency/result.h"

namespace latency {

void PrintHeader(std::ostream& out, const Options& options);
void PrintReport(std::ostream& out, const Options& options, const RunResult& result);

}  // namespace latency

#endif  // URGE_STRESS_LATENCY_REPORT_H_

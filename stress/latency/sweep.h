// What preemption costs: the throughput of hogs that are preempted against that of hogs that are
// not, over slices and processors.

#ifndef URGE_STRESS_LATENCY_SWEEP_H_
#define URGE_STRESS_LATENCY_SWEEP_H_

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "stress/common/bootstrap.h"
#include "stress/common/distribution.h"
#include "stress/latency/options.h"

namespace latency {

// What hogs did in a while.
struct Throughput {
  double work = 0;
  double cpu_ns = 0;  // of the whole process, sysmon too
  double wall_ns = 0;
  double PerCpuNs() const { return work / cpu_ns; }
};

// A round measures both, one right after the other.
struct Round {
  Throughput alone;   // as many hogs as processors: nobody waits
  Throughput shared;  // all of them: somebody always does
};

// What the child of a point found.
struct PointResult {
  std::vector<Round> rounds;
  std::uint64_t preemptions = 0;
  stress::Distribution slice_length, total;
  std::uint64_t verified = 0;
  std::string failure;  // empty: every result was right
};

struct SweepPoint {
  stress::HogCount hog;
  int procs;
  std::chrono::nanoseconds slice;
  PointResult result;
  // What hogs that share do less than those alone, as a share of that.
  stress::Estimate overhead;

  double PreemptionsPerSecond() const;
  // Processor time for each preemption.
  double CostNs() const;
};

// In a child: measures the only point that the options leave.  Runs on: a plain thread.
std::string MeasurePoint(const Options& options);

// Runs every point in a child, prints, and writes the files that the options name. Returns the exit
// status.
int Sweep(const Options& options);

}  // namespace latency

#endif  // URGE_STRESS_LATENCY_SWEEP_H_

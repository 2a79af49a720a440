// How long to measure on a machine that may have better to do.

#ifndef URGE_STRESS_COMMON_WORK_TIME_H_
#define URGE_STRESS_COMMON_WORK_TIME_H_

#include <chrono>

namespace stress {

// A time of measuring, from the constructor on: over when `wanted` has passed and the process has
// had half the processor time that busy goroutines on `procs` Ps can use in it, but two seconds
// later at most. Else a run of some 100 ms on a loaded machine may end before a hog has run at all.
class WorkTime {
 public:
  WorkTime(std::chrono::nanoseconds wanted, int procs);
  bool Over() const;
  // Processor time of the process since then.
  double CpuNs() const;

 private:
  using Clock = std::chrono::steady_clock;

  const Clock::time_point least_, most_;
  const double enough_ns_, before_ns_;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_WORK_TIME_H_

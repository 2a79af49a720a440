// What the user asked for.

#ifndef URGE_STRESS_FAIRNESS_OPTIONS_H_
#define URGE_STRESS_FAIRNESS_OPTIONS_H_

#include <chrono>
#include <string>
#include <vector>

#include "stress/common/hog_args.h"

namespace fairness {

enum class Mode { kPreempted, kUnpreempted };

struct Options {
  std::chrono::nanoseconds duration = std::chrono::seconds(10);  // of each phase
  int procs = 0;                                                 // set by ParseOptions
  std::chrono::nanoseconds slice = std::chrono::milliseconds(10);
  std::vector<stress::HogCount> hogs = stress::OneOfEachHog();
  std::vector<Mode> modes = {Mode::kPreempted, Mode::kUnpreempted};
  std::string file;       // empty: one that every machine has
  std::string json_file;  // empty: none
  // Where the trace of the phase with preemption goes, or of the only one; empty: nowhere.
  std::string trace_file;

  // In a child process only.
  int result_fd = -1;

  int TotalHogs() const { return stress::TotalHogs(hogs); }
};

inline constexpr int kTickers = 4;
inline constexpr std::chrono::nanoseconds kTickerSleep = std::chrono::milliseconds(1);

// Who counts as starved; see --help.
inline constexpr double kStarvedShare = 0.5;  // of the fair share
inline constexpr std::chrono::nanoseconds kStarvedLateness = std::chrono::seconds(1);

// The command line; leaves the process if something is wrong with it.
Options ParseOptionsOrExit(int argc, char** argv);

// The command line of a child that runs one phase.
std::vector<std::string> ChildArguments(const Options& options, Mode mode);

}  // namespace fairness

#endif  // URGE_STRESS_FAIRNESS_OPTIONS_H_

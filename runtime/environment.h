// The URGE_ variables: what a user can set without touching the program.

#ifndef URGE_RUNTIME_ENVIRONMENT_H_
#define URGE_RUNTIME_ENVIRONMENT_H_

#include <urge/runtime.h>

#include <string>

#include "runtime/recorder/recorder.h"
#include "runtime/sched/sched.h"

namespace urge {

struct StartPlan {
  sched::Settings settings;
  int procs = 1;
  bool print_preemption_map = false;  // URGE_DEBUG=preemptmap=1
  bool print_thread_bound = false;    // URGE_DEBUG=threadbound=1: at exit
  bool serve_metrics = false;         // URGE_METRICS
  std::string metrics_address;        // where, if not at the default
  recorder::Plan recorder;            // URGE_DEBUG=flightrecorder=FILE and its kin
  std::string profile_path;           // URGE_DEBUG=profile=PATH; empty: none
  int profile_hz = 100;               // URGE_DEBUG=profilehz=N
};

// Merges the program's options with URGE_MAXPROCS, URGE_SLICE, URGE_SIGNAL, URGE_METRICS and
// URGE_DEBUG. A value in `options` that isn't its default wins over the environment; switches in
// URGE_DEBUG only turn things off or on for debugging and win over both. Errors:
// std::invalid_argument that names the option or variable, its value and what is allowed.
StartPlan PlanStart(const options& options);

}  // namespace urge

#endif  // URGE_RUNTIME_ENVIRONMENT_H_

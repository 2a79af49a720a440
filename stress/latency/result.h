// What a run measured, and how it travels from the child process to its parent.

#ifndef URGE_STRESS_LATENCY_RESULT_H_
#define URGE_STRESS_LATENCY_RESULT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stress/common/distribution.h"
#include "stress/common/hog_team.h"
#include "stress/common/runtime_counts.h"

namespace latency {

struct StageResult {
  std::string name;
  std::string text;
  bool in_chain = false;
  stress::Distribution times;
};

// The chosen stage in one stretch of time.
struct Window {
  double end_ns = 0;  // since the measurement began
  std::uint64_t count = 0;
  double p50_ns = 0, p99_ns = 0, max_ns = 0;
};

struct RunResult {
  double duration_ns = 0;
  bool ticks_invariant = true;
  std::vector<StageResult> stages;
  std::vector<Window> windows;
  std::vector<stress::Count> requests, asked, preemptions, deferrals;
  std::uint64_t missed = 0;  // paced wake-ups for which the one before was still pending
  std::vector<stress::HogResult> hogs;

  std::string failure;  // of the process; the rest is empty then

  const StageResult* Find(std::string_view stage) const;
  std::uint64_t Preemptions() const;  // by prologue and by signal
  std::uint64_t Verified() const;
  // The wrong results, one line each.
  std::vector<std::string> Failures() const;
  // Empty if the run is one to believe; else why not.
  std::string WhatIsWrong() const;
};

std::string Serialize(RunResult& result);
// False if the text is no complete result.
bool Deserialize(const std::string& text, RunResult& result);

}  // namespace latency

#endif  // URGE_STRESS_LATENCY_RESULT_H_

// What a phase measured, and how it travels from the child process to its parent.

#ifndef URGE_STRESS_FAIRNESS_RESULT_H_
#define URGE_STRESS_FAIRNESS_RESULT_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "stress/common/hog_team.h"
#include "stress/common/runtime_counts.h"
#include "stress/common/stats.h"
#include "stress/fairness/options.h"

namespace fairness {

using stress::Count;
using stress::HogResult;

struct TickerResult {
  std::uint64_t ticks = 0;
  stress::Summary lateness_ns;
};

struct PingPongResult {
  std::uint64_t round_trips = 0;
  stress::Summary round_trip_ns;
  double longest_silence_ns = 0;
  std::string failure;
};

struct PhaseResult {
  double duration_ns = 0;
  std::uint64_t input_bytes = 0;
  bool ticks_invariant = true;
  std::vector<HogResult> hogs;
  std::vector<TickerResult> tickers;
  stress::Summary lateness_ns;  // of all tickers
  PingPongResult ping_pong;
  std::vector<Count> requests, preemptions, signals, deferrals;
  stress::Summary prologue_stop_ns, signal_stop_ns;  // request to switched off

  std::string failure;  // of the process; the rest is empty then

  double TotalCpuNs() const;
  double Share(const HogResult& hog) const;
  double FairShare() const { return 1.0 / static_cast<double>(hogs.size()); }
  double JainIndex() const;
  const HogResult& LeastServed() const;
  std::uint64_t Verified() const;
  // The wrong results, one line each.
  std::vector<std::string> Failures() const;
  // Names of goroutines that starved.
  std::vector<std::string> Starved() const;
};

std::string Serialize(PhaseResult& result);
// False if the text is no complete result.
bool Deserialize(const std::string& text, PhaseResult& result);

}  // namespace fairness

#endif  // URGE_STRESS_FAIRNESS_RESULT_H_

// The stages that a run reports: the runtime's distributions, by name.

#ifndef URGE_STRESS_LATENCY_STAGES_H_
#define URGE_STRESS_LATENCY_STAGES_H_

#include <urge/metrics.h>

#include <span>
#include <string>
#include <string_view>

namespace latency {

struct Stage {
  std::string_view name;
  std::string_view text;  // from which event to which
  // One of those that follow one another and add up to preempt_total.
  bool in_chain;
  urge::latency_distribution urge::metrics::*field;
};

// In the order in which they are reported: the chain, what it adds up to, and what else there is.
std::span<const Stage> Stages();

// A stage that the lab measures itself, with its own clock: from the instant when a paced goroutine
// should run to its running.
inline constexpr std::string_view kResponse = "response";
inline constexpr std::string_view kTotal = "preempt_total";
inline constexpr std::string_view kDeferred = "preempt_deferred";
inline constexpr std::string_view kSliceLength = "slice_length";

bool IsStage(std::string_view name);
std::string StageNames();

}  // namespace latency

#endif  // URGE_STRESS_LATENCY_STAGES_H_

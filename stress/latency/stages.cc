// The table of stages.

#include "stress/latency/stages.h"

#include <algorithm>

namespace latency {
namespace {

using M = urge::metrics;

constexpr Stage kStages[] = {
    {"preempt_detected", "slice over, or somebody waits -> noticed", true, &M::preempt_detected},
    {"preempt_marked", "-> the guard word poisoned", true, &M::preempt_marked},
    {"preempt_signalled", "-> signal sent", true, &M::preempt_signalled},
    {"preempt_handled", "-> its handler entered", true, &M::preempt_handled},
    {"preempt_accepted", "-> the goroutine's code stopped", true, &M::preempt_accepted},
    {"preempt_switched_off", "-> on g0, frames walked", true, &M::preempt_switched_off},
    {"preempt_requeued", "-> queued", true, &M::preempt_requeued},
    {"preempt_next_running", "-> the next goroutine runs", true, &M::preempt_next_running},
    {kTotal, "from the first to the last", false, &M::preempt_total},
    {kDeferred, "first put off -> stopped", false, &M::preempt_deferred},
    {"ack_prologue", "asked -> stopped, by a prologue", false, &M::ack_prologue},
    {"ack_signal", "asked -> stopped, by signal", false, &M::ack_signal},
    {kSliceLength, "had run when preempted", false, &M::slice_length},
    {"timer_lateness", "a timer's deadline -> its callback", false, &M::timer_lateness},
    {"wakeup_to_run", "woken -> running", false, &M::wakeup_to_run},
};

}  // namespace

std::span<const Stage> Stages() { return kStages; }

bool IsStage(std::string_view name) {
  return name == kResponse || std::ranges::find(kStages, name, &Stage::name) != std::end(kStages);
}

std::string StageNames() {
  std::string names;
  for (const Stage& stage : kStages) names += std::string(stage.name) + ", ";
  return names + std::string(kResponse);
}

}  // namespace latency

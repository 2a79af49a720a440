// From the fields of urge::metrics to lists.

#include "stress/common/runtime_counts.h"

namespace stress {

std::vector<Count> RequestsOf(const urge::metrics& m) {
  return {{"slice", "time slice used up", m.requests_slice},
          {"wakeup", "somebody woke up", m.requests_wakeup},
          {"stop", "stop the world", m.requests_stop}};
}

std::vector<Count> PreemptionsOf(const urge::metrics& m) {
  return {{"prologue", "by a function prologue", m.acks_prologue},
          {"signal", "by signal", m.acks_signal},
          {"voluntary", "stopped by itself first", m.acks_voluntary}};
}

std::vector<Count> SignalsOf(const urge::metrics& m) {
  return {{"sent", "sent", m.signals_sent}, {"timer", "by timer", m.timer_signals}};
}

std::vector<Count> DeferralsOf(const urge::metrics& m) {
  return {{"opaque", "in a library that is not allowed", m.deferred_opaque},
          {"denied", "in a denied function", m.deferred_denied},
          {"runtime", "in the runtime", m.deferred_runtime},
          {"runtime_lock", "under a runtime lock", m.deferred_runtime_lock},
          {"callback", "a foreign frame below", m.deferred_callback},
          {"unwalkable", "a frame that can't be walked past", m.deferred_unwalkable},
          {"threads", "thread-bound, and too many threads", m.deferred_threads},
          {"no_preempt", "under no_preempt", m.deferred_no_preempt},
          {"no_room", "too little stack", m.deferred_no_room},
          {"foreign_stack", "on a foreign stack", m.deferred_foreign_stack},
          {"signal_mask", "signals blocked", m.deferred_signal_mask},
          {"not_wanted", "signal came after the fact", m.deferred_not_wanted}};
}

}  // namespace stress

// Stages: where the time goes between "should stop" and "the next one runs".
//
//   due -> detected -> marked -> signalled -> handled -> accepted -> switched off -> requeued ->
//   next
//
//  1. Due: the slice is over, or somebody has woken for whom the goroutine may be stopped.
//  2. Detected: sysmon, or the slice timer's handler, has noticed and makes the request.
//  3. Marked: the guard word is poisoned. Signalled: the first signal is on its way (a slice
//     timer's is there when the end is detected). Handled: its handler has been entered.
//  4. Accepted: the goroutine's own code has stopped, in a prologue or where the handler injects.
//     A request that was put off is accepted late; the part since the first deferral is kept apart.
//  5. Switched off: on g0, with the frames walked. Requeued: on a queue. Next: the processor runs
//     a goroutine again.
//
// Each stage is measured from the event before it, and named by the one that ends it. A stage that
// a preemption didn't pass through (no signal, say) is left out, and its time belongs to the next:
// so the stages of one preemption add up to its total.
//
// The stamps of the pending request lie in the M that is asked: whoever asks writes the first ones
// under its mark_lock, its own thread (G, g0, handler) the others. A request that meets a switch
// may leave stamps that are another's; what is out of order takes no time.

#ifndef URGE_RUNTIME_TRACE_STAGES_H_
#define URGE_RUNTIME_TRACE_STAGES_H_

#include <atomic>
#include <cstdint>

#include "runtime/trace/counters.h"

namespace urge::trace {

// In base::Ticks(); 0 is "not yet". Relaxed throughout: figures order nothing.
struct RequestStamps {
  std::atomic<std::uint64_t> due{0}, asked{0}, marked{0}, signalled{0};
  std::atomic<std::uint64_t> handled{0}, deferred{0};

  // A new request.  Signal-safe: yes.
  void Begin(std::uint64_t due_ticks, std::uint64_t asked_ticks) {
    due.store(due_ticks, std::memory_order_relaxed);
    asked.store(asked_ticks, std::memory_order_relaxed);
    for (auto* later : {&marked, &signalled, &handled, &deferred}) {
      later->store(0, std::memory_order_relaxed);
    }
  }
  // Stamps an event of the pending request, if it is the first of its kind.  Signal-safe: yes.
  static void Once(std::atomic<std::uint64_t>& stamp, std::uint64_t ticks) {
    if (stamp.load(std::memory_order_relaxed) == 0) {
      stamp.store(ticks, std::memory_order_relaxed);
    }
  }
};

// How a preemption went on from there; 0 where it didn't.
struct StopStamps {
  std::uint64_t accepted = 0, switched_off = 0, requeued = 0;
};

// Runs on: the M that was asked, on g0.
void RecordStages(ProcStats& stats, const RequestStamps& request, const StopStamps& stop);
// The last stage, and all of them, at now_ticks.
void RecordNextRunning(ProcStats& stats, std::uint64_t due_ticks, std::uint64_t requeued_ticks,
                       std::uint64_t now_ticks);

}  // namespace urge::trace

#endif  // URGE_RUNTIME_TRACE_STAGES_H_

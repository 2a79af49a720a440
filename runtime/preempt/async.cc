// The far end of an injected call: urge_async_preempt has saved every register on the goroutine's
// stack and calls this. Go: asyncPreempt2.

#include "runtime/preempt/request.h"

#include "runtime/sched/switch.h"

// Runs on: G, inside the injected frame.
extern "C" void urge_async_preempt_park() {
  urge::sched::M* m = urge::sched::CurrentM();
  urge::sched::G* gp = m->curg.load(std::memory_order_relaxed);
  urge::preempt::SwitchOffPreempted(m, gp, /*by_signal=*/true);
}

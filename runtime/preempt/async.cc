// The far end of an injected call: urge_async_preempt has saved every register on the goroutine's
// stack and calls this. Go: asyncPreempt2.

#include "runtime/preempt/request.h"
#include "runtime/preempt/xstate.h"
#include "runtime/sched/switch.h"

namespace {

using namespace urge;

void AfterAsyncPreempt(void* arg) {
  preempt::SettlePreempted(sched::CurrentM(), static_cast<sched::G*>(arg), /*by_signal=*/true);
}

}  // namespace

// Runs on: G, inside the injected frame.
extern "C" void urge_async_preempt_park() {
  sched::M* m = sched::CurrentM();
  sched::G* gp = m->curg.load(std::memory_order_relaxed);
  sched::SwitchToG0(m, gp, AfterAsyncPreempt, gp);
}

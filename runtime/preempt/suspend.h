// Stopping one goroutine so that it stays stopped, for whoever wants to look at its stack while the
// others go on. Source: Go's suspendG, resumeG, preemptPark.
//
// A running goroutine is asked until it has stopped in state kPreempted. In that state it is on no
// queue and the suspender owns its stack. A goroutine that isn't running can't be held: it is
// caught when it runs, within the deadline, or not at all.

#ifndef URGE_RUNTIME_PREEMPT_SUSPEND_H_
#define URGE_RUNTIME_PREEMPT_SUSPEND_H_

#include <cstdint>

#include "runtime/sched/g.h"

namespace urge::preempt {

// True if gp is now stopped and stays so until Resume(gp). False if it could not be caught running
// within the deadline, or is somebody else's suspect already: then nothing remains of the attempt.
// Runs on: G (not gp itself) or a plain thread.
bool Suspend(sched::G* gp, std::uint64_t deadline_ns);
void Resume(sched::G* gp);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_SUSPEND_H_

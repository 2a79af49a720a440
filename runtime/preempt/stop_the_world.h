// Stopping every P, for procs changes, dumps and the end of the process.
//
//  1. stop_requested is set; idle Ps and Ps in system calls are taken at once.
//  2. Every running P is asked (kStop) and asked again every kStopTheWorldRetryNs; its M gives the
//  P
//     up at its next visit to g0 and sleeps.
//  3. After the deadline those that could not be stopped (a goroutine in opaque code) go on: the
//     caller is told, and may look at what has stopped, but must not change the scheduler.
//
// Source: Go's stopTheWorldWithSema, startTheWorldWithSema.

#ifndef URGE_RUNTIME_PREEMPT_STOP_THE_WORLD_H_
#define URGE_RUNTIME_PREEMPT_STOP_THE_WORLD_H_

#include <cstdint>

#include "runtime/base/config.h"

namespace urge::preempt {

// Returns whether every P but the caller's has stopped within the deadline. Must be followed by
// StartTheWorld in any case, by the same goroutine or thread, which must not block in between.
// Runs on: G or a plain thread.
bool StopTheWorld(std::uint64_t deadline_ns = base::kStopTheWorldDeadlineNs);
void StartTheWorld();

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_STOP_THE_WORLD_H_

// Goroutines that are runnable and don't run, with URGE_DEBUG=starvation=TIME.
//
// While events are recorded each queued goroutine bears the time at which it was queued
// (sched/record.h). Who runs at last is noticed then; who does not is noticed here: every half of
// the threshold sysmon looks at all goroutines, for as long as one is queued.

#ifndef URGE_SYSMON_STARVATION_H_
#define URGE_SYSMON_STARVATION_H_

#include <cstdint>

namespace urge::sysmon {

// Reports one that has waited for too long. Returns when to look again; kNever if nobody waits, or
// nobody wants to know. Runs on: sysmon.
std::uint64_t LookForStarving(std::uint64_t now_ns);

}  // namespace urge::sysmon

#endif  // URGE_SYSMON_STARVATION_H_

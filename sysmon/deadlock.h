// Finding out that nothing can ever run again. Go: checkdead.
//
// The last M to fall asleep raises a suspicion when no timer is armed and some thread waits inside
// urge's API. Unlike in Go, other threads of the program may still send or spawn; so after a while
// sysmon looks again and counts the process's threads: only if every one of them is an M, one of
// the runtime's own (sysmon, who serves metrics), or a thread that waits in our API for ever, is it
// a deadlock.
//
// Not found: deadlocks of some goroutines while others go on, and those of a program one of whose
// own threads merely sleeps elsewhere.

#ifndef URGE_SYSMON_DEADLOCK_H_
#define URGE_SYSMON_DEADLOCK_H_

#include <cstdint>

namespace urge::sysmon {

// Looks if there is a suspicion; returns when to look again, or kNever. Ends the process, after
// every goroutine's traceback, if it is confirmed. Runs on: sysmon.
std::uint64_t LookForDeadlock(std::uint64_t now_ns);

}  // namespace urge::sysmon

#endif  // URGE_SYSMON_DEADLOCK_H_

// A net for what keeps a P for long and can't be stopped: blocking calls that nobody stands in for
// (stdio's inner reads and waits for FILE locks, a library's own system calls), and libraries that
// compute and may not be interrupted.
//
//  1. A goroutine doesn't answer, its slice is over, and others wait for its P. If between two
//     looks its thread has used next to no CPU time, and it sleeps in the kernel, its P is stuck.
//  2. A spare P is added (sched/spare.cc), and works in the stuck one's stead.
//  3. The stuck P tells when it next switches; failing that sysmon sees its thread compute. Then
//     the last spare P goes.
//
// Likewise if it has been asked to stop for kForeignAfterNs, and its thread's signals meet foreign
// code: until its run is over. With a library's calls of 15 ms and nothing in between, chance
// would let it be stopped every 20 s.
//
// A thread that is merely kept off its CPU by other threads of the machine is running, not
// sleeping, in the kernel's eyes, and is left alone.
//
// Found late: after the slice, or the time above. What is meant to block often should be stood in
// for, or be inside urge::blocking.

#ifndef URGE_SYSMON_STUCK_H_
#define URGE_SYSMON_STUCK_H_

#include <cstdint>

#include "runtime/sched/p.h"

namespace urge::sysmon {

// Looks at a P whose goroutine doesn't answer; true if it is stuck now. Sets *again_ns to when a
// look is worth while. Runs on: sysmon.
bool LookForStuck(sched::P* p, std::uint64_t now_ns, std::uint64_t* again_ns);
// The same for one that has been asked to stop and computes in foreign code.
bool LookForForeign(sched::P* p, std::uint64_t now_ns, std::uint64_t* again_ns);
// Frees those that wait behind a goroutine that was asked to stop so long ago, whatever the reason:
// hogs that go through the global queue would keep the other Ps from ever stealing them.
void FreeQueueBehind(sched::P* p, std::uint64_t now_ns);
// Is a P that was stuck still so?
bool IsStillStuck(sched::P* p, std::uint64_t now_ns);
// Takes a spare P away if there are more than stuck Ps; returns when to try again, or kNever.
// Sets *ask to a P whose goroutine must be stopped for that, or to null.
std::uint64_t RetireSpares(std::uint64_t now_ns, sched::P** ask);

}  // namespace urge::sysmon

#endif  // URGE_SYSMON_STUCK_H_

// Dating waits, for tracebacks that say for how many minutes a goroutine has waited.
//
// Nobody reads the clock to park. Instead sysmon looks at all goroutines about once a minute and
// notes the time for those whose wait isn't dated yet: what a traceback shows is at most a minute
// short. A program with a million of them is looked at in small parts, so that sysmon is not late
// for what it is there for; one in which nothing runs is looked at once more and then left alone.
//
// Source: Go dates waits in its garbage collector (markroot, waitsince).

#ifndef URGE_SYSMON_WAITS_H_
#define URGE_SYSMON_WAITS_H_

#include <cstdint>

namespace urge::sysmon {

// Looks at some goroutines if it is time to; returns when to go on, or kNever. Runs on: sysmon.
std::uint64_t DateWaits(std::uint64_t now_ns);

}  // namespace urge::sysmon

#endif  // URGE_SYSMON_WAITS_H_

// URGE_DEBUG=schedtrace=MS: a line on stderr at once and then every so many milliseconds, whether
// or not anything runs; with scheddetail=1 also a line for each P, M and G.
//
// The form is Go's (1.20 and later), word for word, so that what reads Go's reads this. What urge
// has besides stands at the ends of lines, as `key=value`:
//
//   SCHED 0ms: gomaxprocs=2 idleprocs=0 … runqueue=0 [3 1] schedticks=[8 9] spareprocs=0
//   goroutines=7
//
// schedticks is Go 1.26's. gcwaiting is true while the world is to stop; locks counts locks that
// remember their thread. Dead goroutines are left out.
//
// A report is one write(2); nothing is stopped for it. A reader who doesn't keep up with his pipe
// keeps sysmon waiting, as in Go.
//
// Source: Go's schedtrace.

#ifndef URGE_SYSMON_SCHEDTRACE_H_
#define URGE_SYSMON_SCHEDTRACE_H_

#include <cstdint>

namespace urge::sysmon {

// Prints if a report is due; returns when the next one is, kNever when tracing is off.
// Runs on: sysmon.
std::uint64_t TraceScheduler(std::uint64_t now_ns);

}  // namespace urge::sysmon

#endif  // URGE_SYSMON_SCHEDTRACE_H_

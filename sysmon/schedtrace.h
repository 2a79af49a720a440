// URGE_DEBUG=schedtrace=MS: a line on stderr every so many milliseconds, in Go's form; with
// scheddetail=1 also a line for each P, M and G. Source: Go's schedtrace.

#ifndef URGE_SYSMON_SCHEDTRACE_H_
#define URGE_SYSMON_SCHEDTRACE_H_

#include <cstdint>

namespace urge::sysmon {

// Prints if a line is due; returns when the next one is, kNever when tracing is off.
// Runs on: sysmon.
std::uint64_t TraceScheduler(std::uint64_t now_ns);

}  // namespace urge::sysmon

#endif  // URGE_SYSMON_SCHEDTRACE_H_

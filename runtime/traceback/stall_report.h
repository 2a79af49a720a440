// Prints what preempt/stall.h has found: who didn't stop, for how long, why, and where it was.
//
//   urge: stall: goroutine 7 "parser" {file: a.xml} was asked to stop 5.1 ms ago and runs on: it is
//   in code that isn't preempted, _int_malloc() in libc.so.6
//   goroutine 7 [running] …

#ifndef URGE_RUNTIME_TRACEBACK_STALL_REPORT_H_
#define URGE_RUNTIME_TRACEBACK_STALL_REPORT_H_

namespace urge::traceback {

// Once, if stalls are looked for: has the clerk print them.
void InstallStallReports();
// By the clerk, and at exit.
void PrintStalls();
// Says how many were not shown, if any. At exit.
void PrintSuppressedStalls();

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_STALL_REPORT_H_

// The recorder: who wants events, its thread, and where the files go. Public face: <urge/trace.h>.
//
//  1. While somebody wants events (a trace to a file, the flight recorder), trace::recording is on
//     and each P has a ring.
//  2. A trace: the thread copies the rings every kTraceDrainNs into a file of raw events, which has
//     no name. trace_stop sorts that file and writes the trace from it. What a ring overwrote
//     before it was copied is counted, and shows in the trace where it is missing.
//  3. The flight recorder: the rings hold the last seconds by themselves. The thread writes a
//     snapshot when a signal handler or sysmon asks for one (trace::Ask); an API call writes its
//     own. A snapshot is written beside its file, and renamed to it.
//  4. A dying process writes a snapshot on the dying thread (OnDeath), after its traceback: with
//     pages and write(2) only, while the other threads run on.
//  5. A starving goroutine is found by who runs it at last (sched/record.cc), or by sysmon, which
//     looks at all goroutines now and then (sysmon/starvation.h). Then none is reported for
//     kStarvationPauseNs.
//
// Rejected: converting while recording (an event costs ten times as much to print as to record, on
// the processors that are measured); a file of our own that a tool converts (one more thing to
// find).

#ifndef URGE_RUNTIME_RECORDER_RECORDER_H_
#define URGE_RUNTIME_RECORDER_RECORDER_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace urge::recorder {

// From URGE_DEBUG.
struct Plan {
  std::string flight_file;          // empty: none
  int signal = 0;                   // that asks for a snapshot; 0: none
  std::uint64_t starvation_ns = 0;  // 0: nobody looks
  std::size_t ring_bytes = 0;       // 0: the default

  bool WantsFlight() const { return !flight_file.empty() || signal != 0 || starvation_ns != 0; }
};

// Once, by boot, before the first M starts. Errors: std::system_error, std::bad_alloc.
void Install(const Plan& plan);

}  // namespace urge::recorder

#endif  // URGE_RUNTIME_RECORDER_RECORDER_H_

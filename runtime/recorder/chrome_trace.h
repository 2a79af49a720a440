// Events to a file in Chrome's Trace Event Format, which Perfetto and chrome://tracing open.
//
//   process "processors"   a track for each P: a slice for each run of a goroutine, in it one for a
//                          system call; instants; flow arrows from who readied to who ran
//   process "threads"      a track for each M: the same runs, system calls to their end, and when
//                          the thread slept
//   process "runtime"      sysmon awake; the world stopped; what plain threads did
//   counters               goroutines, and how many of them are runnable
//
// Two passes over the events, which are in order of time:
//  1. Who is who: names; which goroutine ran where a ring begins or has a gap; which wake-ups are
//     answered, so that a flow that begins will end; which tracks there are.
//  2. Writing. Each track has a stack of open slices, of which only the top one can be closed; what
//     is open when another goroutine starts, at a gap, or at the end is closed then. So slices nest
//     and balance whatever is missing, and time stamps in the file never go back.
//
// A flow must begin inside a slice. Who readies where none is open (a timer on g0, a plain thread)
// gets a brief one, of kBriefNs at most.
//
// Source: "Trace Event Format" (Google, 2016): B, E, i, s, f, C and M events.

#ifndef URGE_RUNTIME_RECORDER_CHROME_TRACE_H_
#define URGE_RUNTIME_RECORDER_CHROME_TRACE_H_

#include <span>
#include <string_view>

#include "runtime/recorder/function_names.h"
#include "runtime/trace/event.h"

namespace urge::recorder {

// Why a trace is written.
struct Cause {
  std::string_view reason;
  std::uint64_t goid = 0;       // whom it is about, if anybody
  std::uint64_t waited_ns = 0;  // that goroutine, for a processor
};

// Writes the events, which must be sorted, to fd; they are changed on the way. Returns 0 or an
// error number. Signal-safe: yes, with Mode::kSignalSafe.
int WriteChromeTrace(int fd, std::span<trace::Event> events, const Cause& cause,
                     FunctionNames::Mode mode);

}  // namespace urge::recorder

#endif  // URGE_RUNTIME_RECORDER_CHROME_TRACE_H_

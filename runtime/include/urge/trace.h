// A record of what the scheduler did, moment by moment: who ran where, who woke whom, how each
// preemption went. It opens in Perfetto (ui.perfetto.dev) and chrome://tracing.
//
// Two ways of recording, which can be on at once:
//   a trace             from trace_start to trace_stop everything is written to a file
//   a flight recorder   the last seconds are kept in memory, and written when something is wrong:
//                       when trace_snapshot or a signal asks for it, a goroutine starves, or the
//                       process dies. It can be turned on from outside, by URGE_DEBUG:
//     flightrecorder=FILE   where to; %p in it becomes the process's id
//     tracesignal=USR1      the signal that asks for a snapshot
//     starvation=100ms      write one when a goroutine has been runnable for so long
//     tracebuffer=KIB       memory for each processor's events (4096)
//
// An event costs some 20 ns while recording is on, and nothing that can be measured while it's off.

#ifndef URGE_TRACE_H_
#define URGE_TRACE_H_

#include <string_view>

#include <urge/detail/export.h>

namespace urge {

// Records everything from now on; trace_stop, or the end of the program by exit, writes the file. A
// crash leaves the last seconds in it. Callable from any thread, before the runtime is started too.
// Errors: std::logic_error if a trace is being recorded already; std::invalid_argument for an empty
// path; std::system_error if the file can't be opened or a thread can't be started; std::bad_alloc.
URGE_API void trace_start(std::string_view path);

// Ends the trace, and returns when the file is complete.
// Errors: std::logic_error if no trace is being recorded; std::system_error if the file could not
// be written.
URGE_API void trace_stop();

// Keeps the last seconds of events in memory from now on. No effect if they are kept already.
// Errors: std::bad_alloc.
URGE_API void flight_recorder_start();
URGE_API void flight_recorder_stop();

// Writes what is kept to a file, which appears when it is complete. Recording goes on.
// Errors: std::logic_error if nothing is being recorded; std::invalid_argument for an empty path;
// std::system_error if the file can't be written.
URGE_API void trace_snapshot(std::string_view path);

}  // namespace urge

#endif  // URGE_TRACE_H_

// The clerk: a thread for what neither a signal handler nor sysmon may do, as it allocates, reads
// files and takes its time.
//
//   SIGQUIT     shows every goroutine, with lines, and ends the process (quit.cc)
//   stalls      names the frames that a handler has collected, and prints them (stall_report.cc)
//   profiles    empties the threads' rings of samples (profile.cc)
//
// It is started when there is something for it to do for the first time, and then sleeps on a futex
// until somebody rings. It runs no goroutine, blocks all signals, and is one of the runtime's own
// threads to the deadlock detector.

#ifndef URGE_RUNTIME_TRACEBACK_CLERK_H_
#define URGE_RUNTIME_TRACEBACK_CLERK_H_

#include "runtime/traceback/frames.h"

namespace urge::traceback {

// Starts the thread unless it runs. False if there is none to be had. Signal-safe: no.
bool StartClerk();
// Has it look at everything; remembered if it hasn't been started. Signal-safe: yes.
void RingClerk();
// Has somebody rung before there was a clerk? For sysmon, which then starts one.
bool ClerkIsWanted();
// In a forked child there is no such thread.
void ForgetClerk();

// Not the clerk's work, but for the same reason apart: calls f(argument, kLines) on a thread of its
// own and waits for it, for debug information is not read on a goroutine's stack. Without a thread,
// f(argument, kOffsets) here. On a plain thread, f(argument, kLines) here.
void OnLargeStack(void (*f)(void* argument, Places places), void* argument);

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_CLERK_H_

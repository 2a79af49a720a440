// <urge/profile.h>: timers on each thread's CPU clock, and what becomes of their samples.
//
//  1. profile_start gives each M a POSIX timer on its thread's CPU clock, which sends SIGPROF to
//     that thread. New Ms get theirs when they start.
//  2. The handler puts a sample into the M's ring (profile_ring.h) and rings for the clerk when it
//     is half full.
//  3. The clerk, and at the end profile_stop, name the frames and add up equal stacks. Names are
//     remembered by address, until a module is loaded or unloaded.
//
// The handler stays installed, and SIGPROFs that aren't ours go on to the program's handler
// (preempt/foreign_handler.h): one of ours may be pending on a thread for as long as it is blocked
// there, and its default action would end the process. liburge-plain can't see it when the program
// installs a handler while a profile is taken: samples then go to that handler.
//
// Source: Go's proc.go (sigprof), signal_unix.go (setitimer for cgo, timer_create since 1.18).

#ifndef URGE_RUNTIME_TRACEBACK_PROFILE_H_
#define URGE_RUNTIME_TRACEBACK_PROFILE_H_

#include <string>

#include "runtime/sched/m.h"

namespace urge::traceback {

// Hooks of the M's thread, when it starts and before it ends.
void ProfileThread(sched::M* m);
void UnprofileThread(sched::M* m);

// Names and adds up what the rings hold. By the clerk.
void DrainProfile();

// For URGE_DEBUG=profile: a failure is told on stderr. "%p" in the path is the process id.
void StartProfileFromEnvironment(std::string path, int hz);
// At exit: stops a profile that was started by the environment.
void FinishProfile();
// In a forked child there are no timers.
void ForgetProfile();

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_PROFILE_H_

// Tracebacks of goroutines in Go's form:
//
//   goroutine 7 [chan receive, 2 minutes] "reader" {request: 17}:
//   main::worker()
//           /usr/bin/program+0x1234
//   created by main::serve() in goroutine 1
//           /usr/bin/program+0x4321
//
// Whose stack is walked from where:
//   the calling goroutine           the caller's own context
//   one that runs elsewhere, or     not at all: its registers are on another processor. (Stop the
//   is in a system call             world first to have few of these.)
//   any other                       the context that urge_switch left at its saved RSP
//
// Signal-safe: all of it, on any stack with 16 KiB to spare; nothing here locks or allocates.
// While the world runs, a goroutine that is off its processor may start to run any moment: its
// frames may then be wrong, and labels and ancestors may be freed while they are printed. That is
// for dying processes; others stop the world.
//
// Source: Go's traceback.go (goroutineheader, printcreatedby, printAncestorTraceback).

#ifndef URGE_RUNTIME_TRACEBACK_TRACEBACK_H_
#define URGE_RUNTIME_TRACEBACK_TRACEBACK_H_

#include <cstdint>

#include "runtime/sched/g.h"
#include "runtime/traceback/frames.h"

namespace urge::traceback {

// How much a dying process tells, from URGE_TRACEBACK. Go: GOTRACEBACK.
enum class Level : std::uint8_t {
  kNone,    // "none", "0": no traceback
  kSingle,  // "single": the failing goroutine; the default
  kAll,     // "all", "1": all of the user's goroutines
  kSystem,  // "system", "2": all goroutines, with the runtime's frames
  kCrash,   // "crash": as system, then abort instead of exit, for a core dump
};

// Reads URGE_TRACEBACK, and readies the symbolizer. Once, before the first traceback; without it
// the level is kSingle. Errors: an unknown value counts as single, after a line on stderr.
void Init();
Level GetLevel();

// Prints one goroutine. The pointer may be stale: a dead goroutine is printed as such.
void PrintGoroutine(int fd, sched::G* gp);
// As PrintGoroutine, for the goroutine that runs on the calling thread, from a context other than
// the caller's: a signal's.
void PrintRunning(base::RawWriter& out, sched::G* gp, const Context& context);
// The calling thread's own stack, when no goroutine runs on it. Go: "runtime stack".
void PrintRuntimeStack(base::RawWriter& out, const Context& context);

// Prints every goroutine but `skip`, by id, with a blank line before each. The runtime's own
// goroutines are left out below kSystem.
void PrintAllGoroutines(int fd, const sched::G* skip);

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_TRACEBACK_H_

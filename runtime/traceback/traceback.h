// Tracebacks of goroutines in Go's form:
//
//   goroutine 7 [chan receive, 2 minutes] "reader" {request: 17}:
//   main::worker()
//           worker.cc:17 +0x34
//   created by main::serve in goroutine 1
//           server.cc:80
//
// or, where there is no debug information or it may not be read, with /usr/bin/program+0x1234 in
// place of file and line.
//
// Whose stack is walked from where:
//   the calling goroutine           the caller's own context
//   one that runs elsewhere, or     the registers that a signal finds, if it finds it (snapshot.h)
//   is in a system call
//   any other                       the context that urge_switch left at its saved RSP
//
// How long it has waited is counted from the first look at it: nobody reads the clock to park.
// sysmon looks about once a minute (sysmon/waits.h), so what is shown may be up to a minute short.
//
// Signal-safe: all of it, but for printing with Places::kLines, on any stack with 16 KiB to spare.
// While the world runs, a goroutine that is off its processor may start to run any moment: its
// frames may then be wrong, and labels and ancestors may be freed while they are copied. That is
// for dying processes; others stop the world.
//
// Source: Go's traceback.go (goroutineheader, printcreatedby, printAncestorTraceback).

#ifndef URGE_RUNTIME_TRACEBACK_TRACEBACK_H_
#define URGE_RUNTIME_TRACEBACK_TRACEBACK_H_

#include <cstdint>
#include <string_view>

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

// Of frames, at that level.
Detail DetailForLevel();

// What is printed of a goroutine besides its frames, as it was at one moment.
struct Header {
  std::uint64_t goid = 0;
  std::uint64_t parent_goid = 0;
  std::uintptr_t go_pc = 0;
  std::uint64_t minutes = 0;  // in this state, if it waits
  sched::GStatus status = sched::GStatus::kIdle;
  sched::WaitReason wait_reason = sched::WaitReason::kNone;
  bool locked = false;  // to its thread, by the user
  char name[32] = {};
  sched::LabelRef labels;
  sched::AncestorRef ancestors;
};
// `settled`: the goroutine is off its processor or the caller itself; else labels and ancestors
// are left out, as they may go away.
void FillHeader(sched::G* gp, sched::GStatus status, bool settled, Header* header);
// goroutine 7 [chan receive, 2 minutes] "reader" {request: 17}:
void PrintHeader(base::RawWriter& out, const Header& header);
// "created by", and ancestors.
void PrintOrigin(base::RawWriter& out, const Header& header, Places places = Places::kOffsets);
// `"name" {key: value}`, each after a blank.
void PrintNameAndLabels(base::RawWriter& out, std::string_view name, const sched::LabelRef& labels);

// The frames of a goroutine that is off its processor; of one that hasn't run yet, where it starts.
void CaptureParked(const sched::G* gp, Stack* stack);

// Prints one goroutine. The pointer may be stale: a dead goroutine is printed as such.
void PrintGoroutine(int fd, sched::G* gp);
// As PrintGoroutine, for the goroutine that runs on the calling thread, from a context other than
// the caller's: a signal's.
void PrintRunning(base::RawWriter& out, sched::G* gp, const Context& context);
// The calling thread's own stack, when no goroutine runs on it. Go: "runtime stack".
void PrintRuntimeStack(base::RawWriter& out, const Context& context);

// Prints every goroutine but `skip`, with a blank line before each group: see snapshot.h.
void PrintAllGoroutines(int fd, const sched::G* skip, Places places = Places::kOffsets);

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_TRACEBACK_H_

// How a process that dies says which goroutine failed, and where.
//
//   base::Fatal, failed checks      "fatal error: ...", the current goroutine; exit status 2
//   an exception leaves a           the goroutine, then the former terminate handler, which prints
//   goroutine                       the exception and aborts
//   a stack overflow                "runtime: goroutine stack exceeds ... limit"; exit status 2
//   a crash signal                  crash.h
//
// URGE_TRACEBACK=all and above adds all other goroutines, crash ends in abort() (traceback.h).
//
// One thread reports: others that die meanwhile wait for its end, and a second failure on the
// reporting thread ends the process at once. Exceptions that end a plain thread are left to the
// former terminate handler; a terminate handler that the program installs after urge has started
// replaces this one.
//
// Source: Go's panic.go (fatalthrow, dopanic_m, startpanic_m).

#ifndef URGE_RUNTIME_TRACEBACK_FATAL_H_
#define URGE_RUNTIME_TRACEBACK_FATAL_H_

#include <cstddef>

#include "runtime/sched/g.h"
#include "runtime/traceback/frames.h"

namespace urge::traceback {

// Reads URGE_TRACEBACK, readies symbols, and installs the crash handlers, the hooks of base::Fatal
// and of newstack, and the terminate handler. Once, by boot.
void Install();

// Ends the process because gp's stack, on which the caller runs, is at its limit. For newstack.
// Runs on: G.
[[noreturn]] void StackOverflow(sched::G* gp, std::size_t limit_bytes);
// The same from a signal's context, on the alternate stack.
[[noreturn]] void StackOverflowAt(std::size_t limit_bytes, const Context& context);

// --- For the ways of dying in this folder ---

enum class Turn {
  kMine,    // the caller reports
  kNested,  // the caller is reporting already: it must not again
};
// Waits for ever if another thread reports. The calling goroutine isn't preempted any more.
// Signal-safe: yes.
Turn BeginReport();

enum class Scope {
  kByLevel,  // the failing goroutine, and what else URGE_TRACEBACK wants
  kAll,      // all goroutines
};
// Prints the thread's goroutine, or the stack of an M on which none runs; and others. Each comes
// after a blank line. Nothing with URGE_TRACEBACK=none. With files and lines (kLines) only where
// the heap and the loader's locks can be relied on. Calls the death hook at last.
void PrintFailure(int fd, const Context& context, Scope scope = Scope::kByLevel,
                  Places places = Places::kOffsets);

// Called once by whoever reports, after the last line of the report. Signal-safe: has to be.
using DeathHook = void (*)();
void SetDeathHook(DeathHook hook);
void CallDeathHook();

// Ends the process with the status of fatal errors, or, with URGE_TRACEBACK=crash, by SIGABRT.
[[noreturn]] void Exit();

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_FATAL_H_

// Crash signals: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT; and SIGQUIT, which shows every
// goroutine.
//
//  1. A handler for each runs on the M's alternate stack, so it also serves a goroutine whose
//     stack is full.
//  2. A fault in the guard below the current goroutine's stack, or near a stack pointer that has
//     left the stack downwards, is a stack overflow: a report as from newstack, exit status 2.
//  3. Else, if the program had a handler of its own when urge started, that one is called, with
//     the mask that it asked for.
//  4. Else the signal and the goroutine with its traceback are printed, the default action is put
//     back, and the signal is raised again or its instruction run again: the process dies as it
//     would have without urge, with the same status and a core dump of the same place.
//  5. SIGQUIT is no crash: its handler returns, and another thread shows everything (quit.h).
//  6. On threads that aren't the runtime's only 3, or 4 without a word. A plain thread that
//     overflows its stack dies by the kernel's hand, as always.
//
// A handler that the program installs after urge has started replaces this one; it needs
// SA_ONSTACK to see overflows. SIGABRT after a report (std::terminate's, say) prints nothing more.
//
// Why this is safe in a handler, though it may have interrupted malloc, the loader or this very
// code: printing is write(2) from a fixed buffer; frames are walked without locks, and memory is
// read only inside the goroutine's stack (preempt/cfi.h); modules are found by _dl_find_object and
// names by Abseil's symbolizer, both made for signal handlers (symbol.h); CurrentM() is an
// initial-exec thread_local, which is never allocated late. All signals are blocked meanwhile but
// the synchronous ones, and of these a second one on this thread ends the process (BeginReport).
// The rest of the world runs on: what is printed of other goroutines may be out of date, and
// reading a stack that is being unmapped is such a second fault.
//
// Source: Go's signal_unix.go (sighandler, sigpanic).

#ifndef URGE_RUNTIME_TRACEBACK_CRASH_H_
#define URGE_RUNTIME_TRACEBACK_CRASH_H_

namespace urge::traceback {

// Once, by Install(). Needs an alternate stack on each M with 32 KiB to spare.
void InstallCrashHandlers();

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_CRASH_H_

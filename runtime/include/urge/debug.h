// Looking at a program's goroutines.
//
// A process that dies shows them by itself: URGE_TRACEBACK=none, single (the default: the failing
// goroutine), all, system (with the runtime's frames) or crash (as system, with a core dump).
// SIGQUIT ends the process with all of them.

#ifndef URGE_DEBUG_H_
#define URGE_DEBUG_H_

#include <urge/detail/export.h>

namespace urge {

// Writes every goroutine to the descriptor, the caller's first, as Go does: id, state and for how
// long, name, labels, the traceback with files and lines, and where it was created:
//
//   goroutine 7 [chan receive, 3 minutes] "reader" {request: 17}:
//   Receive()
//           server.cc:42 +0x1c
//   created by Serve in goroutine 1
//           server.cc:80
//
// Goroutines with the same state and traceback are shown together: a header for each, and one
// traceback. "(...)" marks a call that was inlined. Files and lines need the modules' debug
// information, and libdw.so.1 (Debian: libdw1); without, places are given for
// `addr2line -ifCe module offset`.
// The world is stopped while stacks are walked, not while the result is written. Those that can't
// be stopped are shown where a signal finds them, or else without a stack.
// Go: runtime.Stack(buf, true).
URGE_API void dump_goroutines(int fd);

}  // namespace urge

#endif  // URGE_DEBUG_H_

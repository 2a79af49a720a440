// Looking at a program's goroutines.
//
// A process that dies shows them by itself: URGE_TRACEBACK=none, single (the default: the failing
// goroutine), all, system (with the runtime's frames) or crash (as system, with a core dump).
// SIGQUIT ends the process with all of them.

#ifndef URGE_DEBUG_H_
#define URGE_DEBUG_H_

#include <urge/detail/export.h>

namespace urge {

// Writes every goroutine with its state and traceback to the descriptor, the caller's first, as Go
// does. Places are given for `addr2line -ifCe module offset`, which names lines and inlined
// functions.
// The world is stopped while stacks are walked, not while the result is written. Goroutines that
// can't be stopped in time, and those in system calls, are shown without a stack.
// Go: runtime.Stack(buf, true).
URGE_API void dump_goroutines(int fd);

}  // namespace urge

#endif  // URGE_DEBUG_H_

// How the traceback layer learns of a runaway recursion that a prologue check caught.

#ifndef URGE_RUNTIME_PREEMPT_OVERFLOW_H_
#define URGE_RUNTIME_PREEMPT_OVERFLOW_H_

#include <cstddef>

#include "runtime/sched/g.h"

namespace urge::preempt {

// Reports and ends the process. Set before the first goroutine runs. limit: bytes of stack.
using StackOverflowHook = void (*)(sched::G* gp, std::size_t limit);
extern StackOverflowHook g_stack_overflow_hook;

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_OVERFLOW_H_

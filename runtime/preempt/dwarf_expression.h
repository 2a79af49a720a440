// DWARF expressions, evaluated by a small stack machine: lazy PLT stubs compute their CFA with one,
// signal return trampolines the addresses of their saved registers.
//
// Invariants: no allocation, no lock; reads only the given stack; always ends (a step limit bounds
// loops made by branches).
//
// Not handled, on purpose: operators that need a frame base, an object address, thread-local
// storage or calls (they occur in debug information, not in unwind data).
//
// Source: DWARF 5, section 2.5.

#ifndef URGE_RUNTIME_PREEMPT_DWARF_EXPRESSION_H_
#define URGE_RUNTIME_PREEMPT_DWARF_EXPRESSION_H_

#include <cstdint>

#include "runtime/preempt/eh_frame.h"
#include "runtime/preempt/stack_memory.h"

namespace urge::preempt {

enum class CfaResult {
  kOk,
  kEndOfStack,   // the return address is undefined
  kUnsupported,  // an instruction or operator that no x86-64 compiler emits
  kBadStack,     // an address outside the stack
};

// Evaluates `expression` over a frame's registers. `first`, if not null, is pushed before (the CFA,
// for register rules). Signal-safe: yes.
CfaResult EvaluateExpression(ByteRange expression, const uint64_t* first,
                             const Registers& registers, const StackMemory& memory, uint64_t* out);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_DWARF_EXPRESSION_H_

// Runs the call frame instructions of a FrameDescription up to one pc, and applies the result.
//
// 1. RunCfaProgram interprets the CIE's and the FDE's instructions until their location passes the
//    pc. What remains is an UnwindRow: how to compute the CFA and where each register was saved.
// 2. ApplyRow computes the caller's registers from it, reading memory only inside the stack.
//
// Invariants: no allocation, no lock; an operand outside the given stack is an error, never a read.
//
// Source: DWARF 5, sections 2.5 and 6.4.

#ifndef URGE_RUNTIME_PREEMPT_CFA_PROGRAM_H_
#define URGE_RUNTIME_PREEMPT_CFA_PROGRAM_H_

#include <cstddef>
#include <cstdint>

#include "runtime/preempt/dwarf_expression.h"
#include "runtime/preempt/eh_frame.h"
#include "runtime/preempt/stack_memory.h"

namespace urge::preempt {

enum class SlotKind : uint8_t {
  kSame,          // unchanged
  kUndefined,     // lost; for the return address: the end of the stack
  kAtCfa,         // saved at CFA + offset
  kIsCfa,         // equals CFA + offset
  kRegister,      // saved in another register
  kAtExpression,  // saved at the address the expression yields
  kIsExpression,  // equals what the expression yields
};

struct Slot {
  SlotKind kind = SlotKind::kSame;
  uint8_t other = 0;          // kRegister
  int64_t offset = 0;         // kAtCfa, kIsCfa
  ByteRange expression = {};  // kAtExpression, kIsExpression
};

// How to get from a frame's registers to its caller's.
struct UnwindRow {
  uint8_t cfa_register = kRsp;
  int64_t cfa_offset = 0;
  ByteRange cfa_expression;  // used instead if not empty
  Slot slots[kRegisterCount];
};

// Computes the row that holds at `pc`. Signal-safe: yes.
CfaResult RunCfaProgram(const FrameDescription& description, uintptr_t pc, UnwindRow* out);

// Replaces the registers of a frame by those of its caller. `*cfa` gets the frame's CFA.
// Signal-safe: yes.
CfaResult ApplyRow(const UnwindRow& row, const StackMemory& memory, Registers* registers,
                   uintptr_t* cfa);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_CFA_PROGRAM_H_

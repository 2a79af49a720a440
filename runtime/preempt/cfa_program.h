// Runs the call frame instructions of a FrameDescription up to one pc, and applies the result.
//
// 1. RunCfaProgram interprets the CIE's and the FDE's instructions until their location passes the
//    pc. What remains is an UnwindRow: how to compute the CFA and where each register was saved.
// 2. ApplyRow computes the caller's registers from it, reading memory only inside the stack.
//
// DWARF expressions are evaluated by a small stack machine: lazy PLT stubs compute their CFA with
// one, signal return trampolines their registers.
//
// Invariants: no allocation, no lock; an operand outside the given stack is an error, never a read.
//
// Source: DWARF 5, sections 2.5 and 6.4.

#ifndef URGE_RUNTIME_PREEMPT_CFA_PROGRAM_H_
#define URGE_RUNTIME_PREEMPT_CFA_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "runtime/preempt/eh_frame.h"

namespace urge::preempt {

// General registers in DWARF's order for x86-64 (System V ABI, figure 3.36), so that a register's
// number is its index.
struct Registers {
  uint64_t rax = 0, rdx = 0, rcx = 0, rbx = 0, rsi = 0, rdi = 0, rbp = 0, rsp = 0;
  uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0;
  uint64_t rip = 0;

  uint64_t& operator[](size_t dwarf) { return *(&rax + dwarf); }
  uint64_t operator[](size_t dwarf) const { return *(&rax + dwarf); }
};
inline constexpr size_t kRegisterCount = 17;
static_assert(sizeof(Registers) == kRegisterCount * sizeof(uint64_t), "indexed as an array");

// DWARF numbers of the registers that unwinding cares about.
enum DwarfRegister : uint8_t {
  kRbx = 3,
  kRbp = 6,
  kRsp = 7,
  kR12 = 12,
  kR13 = 13,
  kR14 = 14,
  kR15 = 15,
  kRip = 16
};

// Addresses that a walk may read.
struct StackRange {
  uintptr_t lo = 0;
  uintptr_t hi = 0;
};

// The segments of one stack; the only memory that unwinding reads besides unwind data.
class StackMemory {
 public:
  explicit StackMemory(std::span<const StackRange> ranges) : ranges_(ranges) {}

  // The range that holds the eight bytes at `address`, or null.
  const StackRange* Find(uintptr_t address) const {
    for (const StackRange& range : ranges_) {
      if (address >= range.lo && address < range.hi && range.hi - address >= sizeof(uint64_t)) {
        return &range;
      }
    }
    return nullptr;
  }
  // The address sanitizer is kept out: frames are read as bytes, red zones included.
  [[gnu::no_sanitize_address]] bool Read(uintptr_t address, uint64_t* out) const {
    if (Find(address) == nullptr) return false;
    __builtin_memcpy(out, reinterpret_cast<const void*>(address), sizeof(*out));
    return true;
  }

 private:
  std::span<const StackRange> ranges_;
};

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

enum class CfaResult {
  kOk,
  kEndOfStack,   // the return address is undefined
  kUnsupported,  // an instruction or operator that no x86-64 compiler emits
  kBadStack,     // an address outside the stack
};

// Computes the row that holds at `pc`. Signal-safe: yes.
CfaResult RunCfaProgram(const FrameDescription& description, uintptr_t pc, UnwindRow* out);

// Replaces the registers of a frame by those of its caller. `*cfa` gets the frame's CFA.
// Signal-safe: yes.
CfaResult ApplyRow(const UnwindRow& row, const StackMemory& memory, Registers* registers,
                   uintptr_t* cfa);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_CFA_PROGRAM_H_

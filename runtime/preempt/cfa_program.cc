// Interprets call frame instructions; see cfa_program.h.

#include "runtime/preempt/cfa_program.h"

namespace urge::preempt {
namespace {

constexpr int kRememberDepth = 4;  // compilers nest remember_state once

// Runs one instruction stream. The two streams of a frame share everything but the CIE's rules,
// which DW_CFA_restore goes back to.
class CfaMachine {
 public:
  CfaMachine(const FrameDescription& description, uintptr_t pc)
      : description_(description), pc_(pc), location_(description.begin) {}

  CfaResult Run(UnwindRow* out) {
    if (!RunStream(description_.cie_program)) return CfaResult::kUnsupported;
    initial_ = row_;
    if (!RunStream(description_.fde_program)) return CfaResult::kUnsupported;
    *out = row_;
    return CfaResult::kOk;
  }

 private:
  // False if an instruction is not supported.
  bool RunStream(ByteRange program) {
    EhReader reader(program.begin, program.end);
    while (!reader.AtEnd()) {
      const uint8_t opcode = reader.Byte();
      if (!Execute(opcode, reader)) return false;
      if (location_ > pc_) return true;
    }
    return reader.ok();
  }

  bool Execute(uint8_t opcode, EhReader& reader) {
    const uint8_t low = opcode & 0x3f;
    switch (opcode & 0xc0) {
      case 0x40:
        Advance(low);
        return true;
      case 0x80:
        SetOffset(SlotKind::kAtCfa, low, FactoredUnsigned(reader));
        return true;
      case 0xc0:
        Restore(low);
        return true;
      default:
        return ExecuteExtended(low, reader);
    }
  }

  bool ExecuteExtended(uint8_t opcode, EhReader& reader) {
    uint64_t reg;
    switch (opcode) {
      case 0x00:  // DW_CFA_nop
        return true;
      case 0x01:  // DW_CFA_set_loc
        location_ = reader.Pointer(description_.pointer_encoding, 0);
        return true;
      case 0x02:
        Advance(reader.Byte());
        return true;
      case 0x03:
        Advance(reader.Fixed<uint16_t>());
        return true;
      case 0x04:
        Advance(reader.Fixed<uint32_t>());
        return true;
      case 0x05:  // DW_CFA_offset_extended
        reg = reader.Uleb();
        SetOffset(SlotKind::kAtCfa, reg, FactoredUnsigned(reader));
        return true;
      case 0x06:  // DW_CFA_restore_extended
        Restore(reader.Uleb());
        return true;
      case 0x07:  // DW_CFA_undefined
        Set(reader.Uleb(), Slot{.kind = SlotKind::kUndefined});
        return true;
      case 0x08:  // DW_CFA_same_value
        Set(reader.Uleb(), Slot{});
        return true;
      case 0x09: {  // DW_CFA_register
        reg = reader.Uleb();
        const uint64_t other = reader.Uleb();
        if (other >= kRegisterCount) return false;
        Set(reg, Slot{.kind = SlotKind::kRegister, .other = static_cast<uint8_t>(other)});
        return true;
      }
      case 0x0a:  // DW_CFA_remember_state
        if (remembered_ == kRememberDepth) return false;
        states_[remembered_++] = row_;
        return true;
      case 0x0b:  // DW_CFA_restore_state
        if (remembered_ == 0) return false;
        row_ = states_[--remembered_];
        return true;
      case 0x10:  // DW_CFA_expression
        reg = reader.Uleb();
        Set(reg, Slot{.kind = SlotKind::kAtExpression, .expression = Block(reader)});
        return true;
      case 0x11:  // DW_CFA_offset_extended_sf
        reg = reader.Uleb();
        SetOffset(SlotKind::kAtCfa, reg, FactoredSigned(reader));
        return true;
      case 0x14:  // DW_CFA_val_offset
        reg = reader.Uleb();
        SetOffset(SlotKind::kIsCfa, reg, FactoredUnsigned(reader));
        return true;
      case 0x15:  // DW_CFA_val_offset_sf
        reg = reader.Uleb();
        SetOffset(SlotKind::kIsCfa, reg, FactoredSigned(reader));
        return true;
      case 0x16:  // DW_CFA_val_expression
        reg = reader.Uleb();
        Set(reg, Slot{.kind = SlotKind::kIsExpression, .expression = Block(reader)});
        return true;
      case 0x2e:  // DW_CFA_GNU_args_size
        reader.Uleb();
        return true;
      case 0x2f:  // DW_CFA_GNU_negative_offset_extended
        reg = reader.Uleb();
        SetOffset(SlotKind::kAtCfa, reg, -FactoredUnsigned(reader));
        return true;
      default:
        return ExecuteDefCfa(opcode, reader);
    }
  }

  bool ExecuteDefCfa(uint8_t opcode, EhReader& reader) {
    switch (opcode) {
      case 0x0c: {  // DW_CFA_def_cfa
        const uint64_t reg = reader.Uleb();
        return DefineCfa(reg, static_cast<int64_t>(reader.Uleb()));
      }
      case 0x0d:  // DW_CFA_def_cfa_register
        return DefineCfa(reader.Uleb(), row_.cfa_offset);
      case 0x0e:  // DW_CFA_def_cfa_offset
        return DefineCfa(row_.cfa_register, static_cast<int64_t>(reader.Uleb()));
      case 0x0f:  // DW_CFA_def_cfa_expression
        row_.cfa_expression = Block(reader);
        return true;
      case 0x12: {  // DW_CFA_def_cfa_sf
        const uint64_t reg = reader.Uleb();
        return DefineCfa(reg, FactoredSigned(reader));
      }
      case 0x13:  // DW_CFA_def_cfa_offset_sf
        return DefineCfa(row_.cfa_register, FactoredSigned(reader));
      default:
        return false;
    }
  }

  void Advance(uint64_t delta) { location_ += delta * description_.code_align; }
  int64_t FactoredUnsigned(EhReader& reader) {
    return static_cast<int64_t>(reader.Uleb()) * description_.data_align;
  }
  int64_t FactoredSigned(EhReader& reader) { return reader.Sleb() * description_.data_align; }
  ByteRange Block(EhReader& reader) {
    const uint64_t size = reader.Uleb();
    const uint8_t* begin = reader.at();
    reader.Skip(size);
    return {begin, reader.at()};
  }
  void Set(uint64_t reg, const Slot& slot) {
    if (reg < kRegisterCount)
      row_.slots[reg] = slot;  // vector registers are nobody's business here
  }
  void SetOffset(SlotKind kind, uint64_t reg, int64_t offset) {
    Set(reg, Slot{.kind = kind, .offset = offset});
  }
  void Restore(uint64_t reg) {
    if (reg < kRegisterCount) row_.slots[reg] = initial_.slots[reg];
  }
  bool DefineCfa(uint64_t reg, int64_t offset) {
    if (reg >= kRegisterCount) return false;
    row_.cfa_register = static_cast<uint8_t>(reg);
    row_.cfa_offset = offset;
    row_.cfa_expression = {};
    return true;
  }

  const FrameDescription& description_;
  const uintptr_t pc_;
  uintptr_t location_;
  UnwindRow row_;
  UnwindRow initial_;
  UnwindRow states_[kRememberDepth];
  int remembered_ = 0;
};

CfaResult RecoverRegister(const Slot& slot, size_t reg, uint64_t cfa, const Registers& registers,
                          const StackMemory& memory, uint64_t* out) {
  uint64_t address = cfa + static_cast<uint64_t>(slot.offset);
  switch (slot.kind) {
    case SlotKind::kSame:
    case SlotKind::kUndefined:  // a lost register keeps a value that nobody may use
      *out = registers[reg];
      return CfaResult::kOk;
    case SlotKind::kIsCfa:
      *out = address;
      return CfaResult::kOk;
    case SlotKind::kRegister:
      *out = registers[slot.other];
      return CfaResult::kOk;
    case SlotKind::kAtExpression:
    case SlotKind::kIsExpression: {
      const CfaResult result =
          EvaluateExpression(slot.expression, &cfa, registers, memory, &address);
      if (result != CfaResult::kOk) return result;
      if (slot.kind == SlotKind::kIsExpression) {
        *out = address;
        return CfaResult::kOk;
      }
      break;
    }
    case SlotKind::kAtCfa:
      break;
  }
  return memory.Read(address, out) ? CfaResult::kOk : CfaResult::kBadStack;
}

}  // namespace

CfaResult RunCfaProgram(const FrameDescription& description, uintptr_t pc, UnwindRow* out) {
  if (description.return_register != kRip) return CfaResult::kUnsupported;
  CfaMachine machine(description, pc);
  return machine.Run(out);
}

CfaResult ApplyRow(const UnwindRow& row, const StackMemory& memory, Registers* registers,
                   uintptr_t* cfa) {
  if (row.cfa_expression.begin != nullptr) {
    const CfaResult result =
        EvaluateExpression(row.cfa_expression, nullptr, *registers, memory, cfa);
    if (result != CfaResult::kOk) return result;
  } else {
    *cfa = (*registers)[row.cfa_register] + static_cast<uint64_t>(row.cfa_offset);
  }
  if (row.slots[kRip].kind == SlotKind::kUndefined) return CfaResult::kEndOfStack;
  Registers caller;
  for (size_t reg = 0; reg < kRegisterCount; ++reg) {
    const CfaResult result =
        RecoverRegister(row.slots[reg], reg, *cfa, *registers, memory, &caller[reg]);
    if (result != CfaResult::kOk) return result;
  }
  if (row.slots[kRsp].kind == SlotKind::kSame) caller.rsp = *cfa;
  *registers = caller;
  return CfaResult::kOk;
}

}  // namespace urge::preempt

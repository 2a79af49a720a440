// Interprets call frame instructions and DWARF expressions; see cfa_program.h.

#include "runtime/preempt/cfa_program.h"

namespace urge::preempt {
namespace {

constexpr int kRememberDepth = 4;          // compilers nest remember_state once
constexpr int kExpressionStackWords = 16;  // real expressions use three
constexpr int kExpressionStepsMax = 256;   // bounds a loop made by DW_OP_skip or DW_OP_bra

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

// The DWARF expression machine, over one frame's registers.
class ExpressionMachine {
 public:
  ExpressionMachine(const Registers& registers, const StackMemory& memory)
      : registers_(registers), memory_(memory) {}

  // `first`, if not null, is pushed before the expression runs (the CFA, for register rules).
  CfaResult Evaluate(ByteRange expression, const uint64_t* first, uint64_t* out) {
    if (first != nullptr) Push(*first);
    EhReader reader(expression.begin, expression.end);
    for (int steps = 0; !reader.AtEnd(); ++steps) {
      if (steps == kExpressionStepsMax) return CfaResult::kUnsupported;
      if (!Execute(reader.Byte(), reader, expression)) {
        return bad_address_ ? CfaResult::kBadStack : CfaResult::kUnsupported;
      }
    }
    if (depth_ == 0 || overflow_) return CfaResult::kUnsupported;
    *out = stack_[depth_ - 1];
    return CfaResult::kOk;
  }

 private:
  bool Execute(uint8_t op, EhReader& reader, ByteRange expression) {
    if (op >= 0x30 && op <= 0x4f) return Push(op - 0x30);  // DW_OP_lit
    if (op >= 0x70 && op <= 0x8f) return PushRegister(op - 0x70, reader.Sleb());
    switch (op) {
      case 0x03:
        return Push(reader.Fixed<uint64_t>());
      case 0x06:
        return Dereference(8);
      case 0x08:
        return Push(reader.Byte());
      case 0x09:
        return Push(static_cast<uint64_t>(int64_t{reader.Fixed<int8_t>()}));
      case 0x0a:
        return Push(reader.Fixed<uint16_t>());
      case 0x0b:
        return Push(static_cast<uint64_t>(int64_t{reader.Fixed<int16_t>()}));
      case 0x0c:
        return Push(reader.Fixed<uint32_t>());
      case 0x0d:
        return Push(static_cast<uint64_t>(int64_t{reader.Fixed<int32_t>()}));
      case 0x0e:
      case 0x0f:
        return Push(reader.Fixed<uint64_t>());
      case 0x10:
        return Push(reader.Uleb());
      case 0x11:
        return Push(static_cast<uint64_t>(reader.Sleb()));
      case 0x12:
        return Pick(0);
      case 0x13:
        return Pop(&scratch_);
      case 0x14:
        return Pick(1);
      case 0x15:
        return Pick(reader.Byte());
      case 0x16: {
        uint64_t a, b;
        return Pop(&a) && Pop(&b) && Push(a) && Push(b);
      }
      case 0x17: {
        uint64_t a, b, c;
        return Pop(&a) && Pop(&b) && Pop(&c) && Push(a) && Push(c) && Push(b);
      }
      case 0x23:  // DW_OP_plus_uconst
        return Pop(&scratch_) && Push(scratch_ + reader.Uleb());
      case 0x28: {  // DW_OP_bra
        const int16_t distance = reader.Fixed<int16_t>();
        return Pop(&scratch_) && (scratch_ == 0 || Jump(reader, distance, expression));
      }
      case 0x2f: {  // DW_OP_skip
        const int16_t distance = reader.Fixed<int16_t>();
        return Jump(reader, distance, expression);
      }
      case 0x92: {  // DW_OP_bregx
        const uint64_t reg = reader.Uleb();
        return PushRegister(reg, reader.Sleb());
      }
      case 0x94:  // DW_OP_deref_size
        return Dereference(reader.Byte());
      case 0x96:  // DW_OP_nop
        return true;
      default:
        return Unary(op) || Binary(op);
    }
  }

  bool Unary(uint8_t op) {
    if (depth_ == 0) return false;
    uint64_t& top = stack_[depth_ - 1];
    switch (op) {
      case 0x19:
        if (static_cast<int64_t>(top) < 0) top = -top;
        return true;
      case 0x1f:
        top = -top;
        return true;
      case 0x20:
        top = ~top;
        return true;
      default:
        return false;
    }
  }

  bool Binary(uint8_t op) {
    if (op < 0x1a || op > 0x2e) return false;
    uint64_t b, a;
    if (!Pop(&b) || !Pop(&a)) return false;
    const int64_t sa = static_cast<int64_t>(a);
    const int64_t sb = static_cast<int64_t>(b);
    switch (op) {
      case 0x1a:
        return Push(a & b);
      case 0x1b:
        return b != 0 && !(sb == -1) && Push(static_cast<uint64_t>(sa / sb));
      case 0x1c:
        return Push(a - b);
      case 0x1d:
        return b != 0 && Push(a % b);
      case 0x1e:
        return Push(a * b);
      case 0x21:
        return Push(a | b);
      case 0x22:
        return Push(a + b);
      case 0x24:
        return Push(b < 64 ? a << b : 0);
      case 0x25:
        return Push(b < 64 ? a >> b : 0);
      case 0x26:
        return Push(static_cast<uint64_t>(sa >> (b < 64 ? b : 63)));
      case 0x27:
        return Push(a ^ b);
      case 0x29:
        return Push(sa == sb);
      case 0x2a:
        return Push(sa >= sb);
      case 0x2b:
        return Push(sa > sb);
      case 0x2c:
        return Push(sa <= sb);
      case 0x2d:
        return Push(sa < sb);
      case 0x2e:
        return Push(sa != sb);
      default:
        return false;
    }
  }

  bool Push(uint64_t value) {
    if (depth_ == kExpressionStackWords) {
      overflow_ = true;
      return false;
    }
    stack_[depth_++] = value;
    return true;
  }
  bool Pop(uint64_t* out) {
    if (depth_ == 0) return false;
    *out = stack_[--depth_];
    return true;
  }
  bool Pick(int below_top) { return below_top < depth_ && Push(stack_[depth_ - 1 - below_top]); }
  bool PushRegister(uint64_t reg, int64_t offset) {
    return reg < kRegisterCount && Push(registers_[reg] + static_cast<uint64_t>(offset));
  }
  bool Dereference(unsigned bytes) {
    uint64_t value;
    if (bytes == 0 || bytes > 8 || !Pop(&scratch_)) return false;
    if (!memory_.Read(scratch_, &value)) {
      bad_address_ = true;
      return false;
    }
    if (bytes < 8) value &= (uint64_t{1} << (8 * bytes)) - 1;
    return Push(value);
  }
  bool Jump(EhReader& reader, int16_t distance, ByteRange expression) {
    const uint8_t* target = reader.at() + distance;
    if (target < expression.begin || target > expression.end) return false;
    reader = EhReader(target, expression.end);
    return true;
  }

  const Registers& registers_;
  const StackMemory& memory_;
  uint64_t stack_[kExpressionStackWords];
  uint64_t scratch_ = 0;
  int depth_ = 0;
  bool overflow_ = false;
  bool bad_address_ = false;
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
      ExpressionMachine machine(registers, memory);
      const CfaResult result = machine.Evaluate(slot.expression, &cfa, &address);
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
    ExpressionMachine machine(*registers, memory);
    const CfaResult result = machine.Evaluate(row.cfa_expression, nullptr, cfa);
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

// The DWARF expression machine; see dwarf_expression.h.

#include "runtime/preempt/dwarf_expression.h"

namespace urge::preempt {
namespace {

constexpr int kExpressionStackWords = 16;  // real expressions use three
constexpr int kExpressionStepsMax = 256;   // bounds a loop made by DW_OP_skip or DW_OP_bra

// One evaluation.
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

}  // namespace

CfaResult EvaluateExpression(ByteRange expression, const uint64_t* first,
                             const Registers& registers, const StackMemory& memory, uint64_t* out) {
  ExpressionMachine machine(registers, memory);
  return machine.Evaluate(expression, first, out);
}

}  // namespace urge::preempt

#include "runtime/preempt/code_scan.h"

#ifdef URGE_HAVE_ZYDIS
#include <Zydis/Zydis.h>
#endif

namespace urge::preempt {

#ifdef URGE_HAVE_ZYDIS

namespace {

constexpr int64_t kCanaryOffset = 0x28;
constexpr int64_t kGuardOffset = 0x70;
// The thread control block holds its own address here (glibc: tcb and self); x86-64 psABI for 0.
constexpr int64_t kTcbOffset = 0;
constexpr int64_t kSelfOffset = 0x10;

// Only settings, a few bytes: made anew where it is needed, so that nothing needs to be initialised
// before a signal or g0 may come.
class Decoder {
 public:
  Decoder() { ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); }
  bool Decode(uintptr_t at, uintptr_t end, ZydisDecodedInstruction* out) const {
    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(
        &decoder_, nullptr, reinterpret_cast<const void*>(at), end - at, out));
  }

 private:
  ZydisDecoder decoder_;
};

bool HasModRm(const ZydisDecodedInstruction& in) {
  return (in.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
}

bool IsPcRelative(const ZydisDecodedInstruction& in) {
  return HasModRm(in) && in.raw.modrm.mod == 0 && in.raw.modrm.rm == 5;
}

// Whether the address, within the segment, is a number in the instruction.
bool IsAbsolute(const ZydisDecodedInstruction& in) {
  if (!HasModRm(in)) return in.raw.disp.size != 0;  // the accumulator's moves
  constexpr uint8_t kNoRegister = 4, kNoBase = 5;
  return in.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && in.raw.modrm.mod == 0 &&
         in.raw.modrm.rm == 4 && in.raw.sib.base == kNoBase && in.raw.sib.index == kNoRegister &&
         in.raw.rex.X == 0;
}

// What an access through %fs does; false if it is one that every thread may make for any other.
bool ThreadAccess(const ZydisDecodedInstruction& in, CodeEvent* event) {
  const bool absolute = IsAbsolute(in);
  const int64_t offset = in.raw.disp.value;
  if (absolute && (offset == kCanaryOffset || offset == kGuardOffset)) return false;
  const bool thread_pointer = absolute && (offset == kTcbOffset || offset == kSelfOffset);
  constexpr uint8_t kMovToRegister = 0x8b, kMovToAccumulator = 0xa1;
  const bool whole_word = in.mnemonic == ZYDIS_MNEMONIC_MOV && in.operand_width == 64 &&
                          (in.opcode == kMovToRegister || in.opcode == kMovToAccumulator);
  *event = thread_pointer || whole_word ? CodeEvent::kLoadsThread : CodeEvent::kTouchesThread;
  return true;
}

// The report on one instruction, if there is one.
bool Describe(const ZydisDecodedInstruction& in, uintptr_t begin, uintptr_t end, CodeFact* fact) {
  const uintptr_t next = fact->pc + in.length;
  if ((in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) != 0 &&
      (HasModRm(in) ? in.raw.modrm.mod != 3 : in.raw.disp.size != 0)) {
    return ThreadAccess(in, &fact->event);
  }
  switch (in.mnemonic) {
    case ZYDIS_MNEMONIC_RDFSBASE:
    case ZYDIS_MNEMONIC_WRFSBASE:
      fact->event = CodeEvent::kLoadsThread;
      return true;
    case ZYDIS_MNEMONIC_SYSCALL:
      fact->event = CodeEvent::kSystemCall;
      return true;
    default:
      break;
  }
  const bool is_call = in.mnemonic == ZYDIS_MNEMONIC_CALL;
  if (IsPcRelative(in)) {
    fact->target = next + static_cast<uintptr_t>(in.raw.disp.value);
    fact->event = is_call                             ? CodeEvent::kCallThrough
                  : in.mnemonic == ZYDIS_MNEMONIC_JMP ? CodeEvent::kJumpThrough
                                                      : CodeEvent::kReference;
    return true;
  }
  if (is_call && HasModRm(in)) {
    fact->event = CodeEvent::kCallPointer;
    return true;
  }
  if (in.meta.branch_type == ZYDIS_BRANCH_TYPE_NONE || in.raw.imm[0].size == 0 ||
      !in.raw.imm[0].is_relative) {
    return false;
  }
  fact->target = next + static_cast<uintptr_t>(in.raw.imm[0].value.s);
  fact->event = is_call ? CodeEvent::kCall : CodeEvent::kJumpOut;
  return is_call || fact->target < begin || fact->target >= end;
}

}  // namespace

bool CodeScanner::Next(CodeFact* fact) {
  const Decoder decoder;
  while (at_ < end_) {
    *fact = CodeFact{CodeEvent::kUndecodable, at_, 0};
    ZydisDecodedInstruction instruction;
    if (!decoder.Decode(at_, end_, &instruction)) {
      at_ = end_;
      return true;
    }
    at_ += instruction.length;
    if (Describe(instruction, begin_, end_, fact)) return true;
  }
  return false;
}

uintptr_t SlotOfStub(uintptr_t address) {
  constexpr uintptr_t kStubBytes = 16;
  const Decoder decoder;
  ZydisDecodedInstruction instruction;
  uintptr_t at = address;
  if (!decoder.Decode(at, address + kStubBytes, &instruction)) return 0;
  if (instruction.mnemonic == ZYDIS_MNEMONIC_ENDBR64) {
    at += instruction.length;
    if (!decoder.Decode(at, address + kStubBytes, &instruction)) return 0;
  }
  if (instruction.mnemonic != ZYDIS_MNEMONIC_JMP || !IsPcRelative(instruction)) return 0;
  return at + instruction.length + static_cast<uintptr_t>(instruction.raw.disp.value);
}

#else

// Without a decoder nothing is known of any code.
bool CodeScanner::Next(CodeFact* fact) {
  if (at_ >= end_) return false;
  *fact = CodeFact{CodeEvent::kUndecodable, at_, 0};
  at_ = end_;
  return true;
}

uintptr_t SlotOfStub(uintptr_t) { return 0; }

#endif

}  // namespace urge::preempt

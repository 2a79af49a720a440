// The CFI cache and the frame walker; see cfi.h.
//
// Why readers of the cache see whole rules
//
// An entry is a seqlock: `sequence` is even while the words are whole. A writer takes the entry by
// a compare-exchange from even to odd, stores the words, and releases it with the next even number;
// it gives up if another writer has it (the rule is in hand, only the cache misses it). A reader
// loads the sequence, the words, and the sequence again, and uses the words only if both were the
// same even number; otherwise it computes the rule itself. All words are atomics, so there is no
// data race; the memory is static, so nothing is ever freed under a reader; and nobody waits, so it
// does not matter where a thread is stopped, be it by the kernel or by a signal whose handler walks
// too. The sequence would have to wrap (2^31 fills of one entry) within one read to deceive a
// reader.
//
// Why stale rules are not used: an entry names the generation that was current before its rule was
// computed. InvalidateCfiCache, which runs before a module goes away, makes all such entries miss.

#include "runtime/preempt/cfi.h"

#include <atomic>
#include <cstddef>

namespace urge::preempt {
namespace {

// 4096 entries of one cache line: 256 KiB of zero pages, touched only where pcs hash to. A
// preempted program has a few hundred distinct return addresses.
constexpr size_t kEntries = 4096;
constexpr size_t kProbes = 4;  // neighbours looked at before an entry is replaced

// A rule as the cache holds it: CFA = registers[cfa_register] + cfa_offset; a register saved at
// CFA + 8 * slot, or unchanged if its slot is 0 (nothing is saved at the CFA: that is the
// caller's).
struct CompactRule {
  static constexpr int kSlots = 7;
  static constexpr uint8_t kRegisterOfSlot[kSlots] = {kRip, kRbp, kRbx, kR12, kR13, kR14, kR15};

  uintptr_t begin = 0;
  uint32_t size = 0;
  int32_t cfa_offset = 0;
  int16_t slots[kSlots] = {};
  uint8_t cfa_register = 0;
  uint8_t flags = 0;

  static constexpr uint8_t kSignalFrame = 1;
  static constexpr uint8_t kEndOfStack = 2;
};
constexpr size_t kRuleWords = 4;
static_assert(sizeof(CompactRule) == kRuleWords * sizeof(uint64_t));

// [a] throughout: see the file's comment.
struct alignas(64) Entry {
  std::atomic<uint32_t> sequence{0};
  std::atomic<uint32_t> generation{0};
  std::atomic<uint64_t> pc{0};
  std::atomic<uint64_t> words[kRuleWords]{};
};
static_assert(sizeof(Entry) == 64);

constinit Entry cache[kEntries];
// Starts at 1, so that zeroed entries are stale.
constinit std::atomic<uint32_t> cache_generation{1};
constinit std::atomic<uint64_t> cache_fills{0};
constinit std::atomic<uint64_t> cache_uncached{0};

void Count(std::atomic<uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

size_t IndexOf(uintptr_t pc, size_t probe) {
  return ((pc * 0x9e3779b97f4a7c15 >> 48) + probe) % kEntries;
}

bool LoadRule(uintptr_t pc, CompactRule* out) {
  // Acquire: pairs with InvalidateCfiCache; a rule of a newer generation was computed after it.
  const uint32_t generation = cache_generation.load(std::memory_order_acquire);
  for (size_t probe = 0; probe < kProbes; ++probe) {
    const Entry& entry = cache[IndexOf(pc, probe)];
    // Acquire: pairs with StoreRule's release; the words below are at least as new.
    const uint32_t sequence = entry.sequence.load(std::memory_order_acquire);
    if (entry.pc.load(std::memory_order_relaxed) != pc || (sequence & 1) != 0 ||
        entry.generation.load(std::memory_order_relaxed) != generation) {
      continue;
    }
    uint64_t words[kRuleWords];
    for (size_t i = 0; i < kRuleWords; ++i) {
      words[i] = entry.words[i].load(std::memory_order_relaxed);
    }
    // Keeps the loads above before the one below; pairs with the fence in StoreRule.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (entry.sequence.load(std::memory_order_relaxed) != sequence) return false;
    std::memcpy(out, words, sizeof(*out));
    return true;
  }
  return false;
}

void StoreRule(uintptr_t pc, uint32_t generation, const CompactRule& rule) {
  // An entry of an older generation, or else the first: rules of live code seldom collide.
  size_t victim = IndexOf(pc, 0);
  for (size_t probe = 0; probe < kProbes; ++probe) {
    const Entry& entry = cache[IndexOf(pc, probe)];
    if (entry.generation.load(std::memory_order_relaxed) != generation) {
      victim = IndexOf(pc, probe);
      break;
    }
  }
  Entry& entry = cache[victim];
  uint32_t sequence = entry.sequence.load(std::memory_order_relaxed);
  if ((sequence & 1) != 0 ||
      !entry.sequence.compare_exchange_strong(sequence, sequence + 1, std::memory_order_acquire,
                                              std::memory_order_relaxed)) {
    return;
  }
  // Keeps the odd sequence before the words; pairs with the acquire fence in LoadRule.
  std::atomic_thread_fence(std::memory_order_release);
  uint64_t words[kRuleWords];
  std::memcpy(words, &rule, sizeof(rule));
  entry.pc.store(pc, std::memory_order_relaxed);
  entry.generation.store(generation, std::memory_order_relaxed);
  for (size_t i = 0; i < kRuleWords; ++i) {
    entry.words[i].store(words[i], std::memory_order_relaxed);
  }
  // Publishes the words; pairs with LoadRule's first load.
  entry.sequence.store(sequence + 2, std::memory_order_release);
  Count(cache_fills);
}

// Which of its registers a row has rules for.
uint32_t RuledRegisters(const UnwindRow& row) {
  uint32_t ruled = 0;
  for (size_t reg = 0; reg < kRegisterCount; ++reg) {
    if (row.slots[reg].kind != SlotKind::kSame) ruled |= uint32_t{1} << reg;
  }
  return ruled;
}

// The compact form of a row, if it has one: a plain CFA, and saves of callee-saved registers only.
bool Compress(const FrameDescription& description, const UnwindRow& row, CompactRule* out) {
  const uint64_t size = description.end - description.begin;
  if (row.cfa_expression.begin != nullptr || size > UINT32_MAX ||
      row.cfa_offset != static_cast<int32_t>(row.cfa_offset)) {
    return false;
  }
  *out = CompactRule();
  out->begin = description.begin;
  out->size = static_cast<uint32_t>(size);
  out->cfa_offset = static_cast<int32_t>(row.cfa_offset);
  out->cfa_register = row.cfa_register;
  if (description.signal_frame) out->flags |= CompactRule::kSignalFrame;
  uint32_t left = RuledRegisters(row);
  for (size_t i = 0; i < CompactRule::kSlots; ++i) {
    const uint8_t reg = CompactRule::kRegisterOfSlot[i];
    const Slot& slot = row.slots[reg];
    left &= ~(uint32_t{1} << reg);
    if (reg == kRip && slot.kind == SlotKind::kUndefined) {
      out->flags |= CompactRule::kEndOfStack;
    } else if (slot.kind == SlotKind::kAtCfa) {
      const int64_t words = slot.offset / 8;
      if (slot.offset % 8 != 0 || words == 0 || words != static_cast<int16_t>(words)) return false;
      out->slots[i] = static_cast<int16_t>(words);
    } else if (slot.kind != SlotKind::kSame || reg == kRip) {
      return false;
    }
  }
  return left == 0;
}

enum class RuleForm { kNone, kCompact, kRow };

// Computes the rule of `pc` and caches it if it is compact. `*row` is the rule otherwise.
RuleForm ComputeRule(uintptr_t pc, CompactRule* compact, FrameDescription* description,
                     UnwindRow* row) {
  // Acquire, and before the module's data are read: see "stale rules" in the file's comment.
  const uint32_t generation = cache_generation.load(std::memory_order_acquire);
  if (!FindFrameDescription(pc, description)) return RuleForm::kNone;
  if (RunCfaProgram(*description, pc, row) != CfaResult::kOk) return RuleForm::kNone;
  if (!Compress(*description, *row, compact)) {
    Count(cache_uncached);
    return RuleForm::kRow;
  }
  StoreRule(pc, generation, *compact);
  return RuleForm::kCompact;
}

FunctionBounds BoundsOfRule(const CompactRule& rule) {
  return {.begin = rule.begin,
          .end = rule.begin + rule.size,
          .signal_frame = (rule.flags & CompactRule::kSignalFrame) != 0};
}

WalkEnd EndFor(CfaResult result) {
  switch (result) {
    case CfaResult::kEndOfStack:
      return WalkEnd::kEndOfStack;
    case CfaResult::kBadStack:
      return WalkEnd::kBadStack;
    case CfaResult::kOk:
    case CfaResult::kUnsupported:
      break;
  }
  return WalkEnd::kNoCfi;
}

// Applies a compact rule to `registers`; only what callers' rules refer to is recovered.
CfaResult ApplyCompact(const CompactRule& rule, const StackMemory& memory, Registers* registers,
                       uintptr_t* cfa) {
  *cfa = (*registers)[rule.cfa_register] + static_cast<uint64_t>(int64_t{rule.cfa_offset});
  if ((rule.flags & CompactRule::kEndOfStack) != 0) return CfaResult::kEndOfStack;
  for (size_t i = 0; i < CompactRule::kSlots; ++i) {
    if (rule.slots[i] == 0) continue;
    const uintptr_t address = *cfa + static_cast<uint64_t>(int64_t{rule.slots[i]} * 8);
    if (!memory.Read(address, &(*registers)[CompactRule::kRegisterOfSlot[i]])) {
      return CfaResult::kBadStack;
    }
  }
  registers->rsp = *cfa;
  return CfaResult::kOk;
}

}  // namespace

FrameWalker::FrameWalker(const WalkStart& start, std::span<const StackRange> stack,
                         bool is_return_address)
    : registers_(start), memory_(stack), is_return_address_(is_return_address) {}

bool FrameWalker::Next(Frame* frame) {
  *frame = Frame();
  frame->pc = registers_.rip;
  frame->is_return_address = is_return_address_;
  CompactRule rule;
  if (!LoadRule(frame->lookup_pc(), &rule)) return NextSlowly(frame);
  const CfaResult result = ApplyCompact(rule, memory_, &registers_, &frame->cfa);
  frame->function = BoundsOfRule(rule);
  return MoveOn(frame, result);
}

bool FrameWalker::NextSlowly(Frame* frame) {
  CompactRule rule;
  FrameDescription description;
  UnwindRow row;
  CfaResult result = CfaResult::kUnsupported;
  switch (ComputeRule(frame->lookup_pc(), &rule, &description, &row)) {
    case RuleForm::kNone:
      return Finish(WalkEnd::kNoCfi);
    case RuleForm::kCompact:
      result = ApplyCompact(rule, memory_, &registers_, &frame->cfa);
      break;
    case RuleForm::kRow:
      result = ApplyRow(row, memory_, &registers_, &frame->cfa);
      break;
  }
  frame->function = {description.begin, description.end, description.signal_frame};
  return MoveOn(frame, result);
}

bool FrameWalker::MoveOn(Frame* frame, CfaResult result) {
  frame->has_cfi = true;
  if (result != CfaResult::kOk) return Finish(EndFor(result));
  if (registers_.rip == 0) return Finish(WalkEnd::kEndOfStack);
  const StackRange* range = memory_.Find(frame->cfa - sizeof(uint64_t));
  if (range == nullptr || (range == range_ && frame->cfa <= last_cfa_)) {
    return Finish(WalkEnd::kBadStack);
  }
  range_ = range;
  last_cfa_ = frame->cfa;
  is_return_address_ = !frame->function.signal_frame;
  return true;
}

bool BoundsOf(uintptr_t pc, FunctionBounds* out) {
  CompactRule rule;
  if (LoadRule(pc, &rule)) {
    *out = BoundsOfRule(rule);
    return true;
  }
  FrameDescription description;
  if (!FindFrameDescription(pc, &description)) return false;
  *out = {description.begin, description.end, description.signal_frame};
  return true;
}

bool IsFunctionEntry(uintptr_t begin) {
  FrameDescription description;
  UnwindRow row;
  if (!FindFrameDescription(begin, &description) || description.begin != begin ||
      RunCfaProgram(description, begin, &row) != CfaResult::kOk) {
    return false;
  }
  return row.cfa_expression.begin == nullptr && row.cfa_register == kRsp &&
         row.cfa_offset == sizeof(uint64_t) && RuledRegisters(row) == uint32_t{1} << kRip;
}

void InvalidateCfiCache() {
  // Release: pairs with the acquire loads of the generation; a rule stored under the new generation
  // was computed by a thread that saw everything the caller did before this.
  cache_generation.fetch_add(1, std::memory_order_release);
}

uint32_t CodeGeneration() { return cache_generation.load(std::memory_order_acquire); }

CfiCacheStats ReadCfiCacheStats() {
  return {.fills = cache_fills.load(std::memory_order_relaxed),
          .uncached = cache_uncached.load(std::memory_order_relaxed)};
}

}  // namespace urge::preempt

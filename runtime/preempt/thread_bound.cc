// Finds thread-bound functions and remembers them; see thread_bound.h.
//
// The table of verdicts is an array of atomic words. A word holds a function's first address, the
// low bits of the generation that was current before its code was read, and what is known. So a
// look-up is one load and a comparison, readers and writers never wait, and a word is always whole;
// two that store at once lose one verdict, which is then found again. InvalidateCfiCache, called
// before text goes away and after it changes, makes all words stale. The generation's low bits come
// round after 8192 changes; the table is cleared then, so that no word comes to life again.
//
// What runs on g0 here: the goroutine that is looked at was stopped in its own code, so whatever
// lock of libc or the loader it needs, it does not hold; and this code takes none: Zydis computes
// on the stack, and names were looked up when the map was built.

#include "runtime/preempt/thread_bound.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <vector>

#include "runtime/base/print.h"
#include "runtime/preempt/call_targets.h"
#include "runtime/preempt/code_scan.h"
#include "runtime/preempt/map.h"

namespace urge::preempt {
namespace {

using Reason = ThreadBoundReason;

// --- Verdicts ---

enum class Question : unsigned { kBound = 0, kYields = 2 };  // the shift of its two bits
enum class Answer : unsigned { kUnknown = 0, kNo = 1, kYes = 2 };

constexpr unsigned kAnswerBits = 4;
constexpr unsigned kGenerationBits = 13;
constexpr unsigned kAddressShift = kAnswerBits + kGenerationBits;  // 47 bits are left for addresses
constexpr size_t kVerdicts = 4096;
constexpr size_t kProbes = 4;

constinit std::atomic<uint64_t> verdicts[kVerdicts];
constinit std::atomic<uint32_t> verdicts_epoch{0};  // [a] the generation's high bits when cleared

uint64_t KeyOf(uintptr_t function, uint32_t generation) {
  const uint64_t low = generation & ((1u << kGenerationBits) - 1);
  return uint64_t{function} << kAddressShift | low << kAnswerBits;
}

std::atomic<uint64_t>& WordOf(uintptr_t function, size_t probe) {
  return verdicts[((function * 0x9e3779b97f4a7c15 >> 48) + probe) % kVerdicts];
}

bool SameKey(uint64_t word, uint64_t key) { return (word ^ key) >> kAnswerBits == 0; }

void ClearVerdictsOfEarlierEpochs(uint32_t generation) {
  const uint32_t epoch = generation >> kGenerationBits;
  uint32_t cleared = verdicts_epoch.load(std::memory_order_relaxed);
  if (cleared == epoch || !verdicts_epoch.compare_exchange_strong(cleared, epoch)) return;
  for (std::atomic<uint64_t>& word : verdicts) word.store(0, std::memory_order_relaxed);
}

Answer Recall(uintptr_t function, Question question, uint32_t generation) {
  ClearVerdictsOfEarlierEpochs(generation);
  const uint64_t key = KeyOf(function, generation);
  for (size_t probe = 0; probe < kProbes; ++probe) {
    const uint64_t word = WordOf(function, probe).load(std::memory_order_relaxed);
    if (SameKey(word, key)) {
      return static_cast<Answer>(word >> static_cast<unsigned>(question) & 3);
    }
  }
  return Answer::kUnknown;
}

void Remember(uintptr_t function, Question question, Answer answer, uint32_t generation) {
  if (function >> (64 - kAddressShift) != 0) return;  // an address that does not fit
  const uint64_t key = KeyOf(function, generation);
  // Its own word; else one of an older generation; else the first.
  std::atomic<uint64_t>* place = &WordOf(function, 0);
  uint64_t known = 0;
  for (size_t probe = kProbes; probe-- > 0;) {
    std::atomic<uint64_t>& candidate = WordOf(function, probe);
    const uint64_t word = candidate.load(std::memory_order_relaxed);
    if (SameKey(word, key)) {
      place = &candidate;
      known = word & ((1u << kAnswerBits) - 1);
      break;
    }
    constexpr uint64_t kGenerationMask = ((uint64_t{1} << kGenerationBits) - 1) << kAnswerBits;
    if (((word ^ key) & kGenerationMask) != 0) place = &candidate;
  }
  place->store(key | known | static_cast<uint64_t>(answer) << static_cast<unsigned>(question),
               std::memory_order_relaxed);
}

// --- Judging code ---

// Code beyond this is not a function that anybody waits for: 4 MiB take 50 ms to decode.
constexpr uintptr_t kFunctionBytesMax = uintptr_t{4} << 20;
constexpr size_t kPartsMax = 16;
// Functions that one may end in by tail calls. With more it counts as yielding.
constexpr size_t kTailCallsMax = 64;

// The parts of one function.
class Parts {
 public:
  explicit Parts(const FunctionBounds& function) {
    Add(function);
    entered_ = IsFunctionEntry(function.begin);
  }

  size_t count() const { return count_; }
  const FunctionBounds& operator[](size_t i) const { return parts_[i]; }
  // Are all parts known, and among them the one where the function is entered?
  bool complete() const { return entered_ && !overflow_; }
  bool overflow() const { return overflow_; }

  // Adds the part that a jump leads to; false if another function begins there.
  bool AddTargetOfJump(uintptr_t target) {
    for (size_t i = 0; i < count_; ++i) {
      if (target >= parts_[i].begin && target < parts_[i].end) return true;
    }
    FunctionBounds part;
    // One FDE covers a whole PLT.
    if (SlotOfStub(target) != 0 || !BoundsOf(target, &part)) return false;
    const bool entry = IsFunctionEntry(part.begin);
    if (part.begin == target && entry) return false;
    entered_ = entered_ || entry;
    Add(part);
    return true;
  }

 private:
  void Add(const FunctionBounds& part) {
    if (count_ == kPartsMax || part.end - part.begin > kFunctionBytesMax) {
      overflow_ = true;
    } else {
      parts_[count_++] = part;
    }
  }

  FunctionBounds parts_[kPartsMax];
  size_t count_ = 0;
  bool entered_ = false;
  bool overflow_ = false;
};

// Does this word, or function, stand for one that is known by name to yield?
bool YieldsByTable(uintptr_t at) { return LookUpCallTarget(at) == CallTarget::kYieldsThread; }

// The function that a call of `target` reaches, if it is to be looked into; 0 if it is known to
// yield nothing, 1 (CallTarget::kYieldsThread) if it is known to yield.
uintptr_t FunctionBehind(uintptr_t target) {
  if (YieldsByTable(target)) return CallTarget::kYieldsThread;
  TextKind kind = PreemptionMap::Classify(target);
  if (kind == TextKind::kPreemptible) {
    // Lld and others put stubs of their own among the functions.
    const uintptr_t slot = SlotOfStub(target);
    return slot == 0 ? target : LookUpCallTarget(slot);
  }
  // PLT entries are opaque; else it is a libc's that is linked in, which is known by its names.
  if (kind == TextKind::kOpaque) return LookUpCallTarget(SlotOfStub(target));
  return kind == TextKind::kUnknown ? CallTarget::kYieldsThread : 0;
}

// All functions that one may end in by tail calls, itself among them: it yields if one of them
// does.
class TailCalls {
 public:
  // False if there are too many. `foreign`: in a library that the map doesn't look into.
  bool Add(uintptr_t function, bool foreign) {
    for (size_t i = 0; i < count_; ++i) {
      if (functions_[i].begin == function) return true;
    }
    if (count_ == kTailCallsMax) return false;
    functions_[count_++] = {function, foreign};
    return true;
  }
  bool AnyYields();

 private:
  struct Function {
    uintptr_t begin;
    bool foreign;
  };
  bool Yields(Function function);
  bool ReportYields(const CodeFact& fact, bool foreign, Parts* parts);
  // Takes up the tail call of `target`, as from FunctionBehind; true if it is known to yield.
  bool Follow(uintptr_t target) {
    if (target == CallTarget::kYieldsThread) return true;
    if (target == 0) return false;
    const TextKind kind = PreemptionMap::Classify(target);
    if (kind == TextKind::kUnknown) return true;
    if (kind != TextKind::kPreemptible && kind != TextKind::kOpaque) return false;
    return !Add(target, kind == TextKind::kOpaque);
  }

  Function functions_[kTailCallsMax];
  size_t count_ = 0;
};

bool TailCalls::ReportYields(const CodeFact& fact, bool foreign, Parts* parts) {
  switch (fact.event) {
    case CodeEvent::kLoadsThread:
    case CodeEvent::kSystemCall:
    case CodeEvent::kUndecodable:
      return true;
    case CodeEvent::kTouchesThread:
    case CodeEvent::kCallPointer:
      return false;
    case CodeEvent::kCall:
      return YieldsByTable(fact.target) || YieldsByTable(SlotOfStub(fact.target));
    case CodeEvent::kReference:
    case CodeEvent::kCallThrough:
      return YieldsByTable(fact.target);
    case CodeEvent::kJumpThrough:
      return Follow(LookUpCallTarget(fact.target));
    case CodeEvent::kJumpOut:
      if (parts->AddTargetOfJump(fact.target)) return parts->overflow();
      if (!foreign) return Follow(FunctionBehind(fact.target));
      if (const uintptr_t slot = SlotOfStub(fact.target)) return YieldsByTable(slot);
      return Follow(fact.target);
  }
  return true;
}

bool TailCalls::Yields(Function function) {
  if (const uintptr_t slot = SlotOfStub(function.begin)) return Follow(LookUpCallTarget(slot));
  FunctionBounds bounds;
  if (!BoundsOf(function.begin, &bounds)) return true;
  Parts parts(bounds);
  for (size_t i = 0; i < parts.count(); ++i) {
    CodeScanner scanner(parts[i].begin, parts[i].end);
    for (CodeFact fact; scanner.Next(&fact);) {
      if (ReportYields(fact, function.foreign, &parts)) return true;
    }
  }
  return parts.overflow();
}

bool TailCalls::AnyYields() {
  for (size_t i = 0; i < count_; ++i) {
    if (Yields(functions_[i])) return true;
  }
  return false;
}

// Does a function yield something of its thread to its caller? `target` as from FunctionBehind.
bool Yields(uintptr_t target, uint32_t generation) {
  if (target == 0) return false;
  if (target == CallTarget::kYieldsThread) return true;
  const TextKind kind = PreemptionMap::Classify(target);
  if (kind == TextKind::kUnknown) return true;
  if (kind != TextKind::kPreemptible && kind != TextKind::kOpaque) return false;
  Answer answer = Recall(target, Question::kYields, generation);
  if (answer == Answer::kUnknown) {
    TailCalls calls;
    calls.Add(target, kind == TextKind::kOpaque);
    answer = calls.AnyYields() ? Answer::kYes : Answer::kNo;
    Remember(target, Question::kYields, answer, generation);
  }
  return answer == Answer::kYes;
}

// What one report says of the function itself; kNot for nothing.
Reason::Kind ReportBinds(const CodeFact& fact, uint32_t generation, Parts* parts) {
  switch (fact.event) {
    case CodeEvent::kTouchesThread:
    case CodeEvent::kLoadsThread:
      return Reason::Kind::kTouches;
    case CodeEvent::kSystemCall:
      return Reason::Kind::kSystemCall;
    case CodeEvent::kUndecodable:
      return Reason::Kind::kUndecodable;
    case CodeEvent::kCall:
      if (Yields(FunctionBehind(fact.target), generation)) return Reason::Kind::kCalls;
      break;
    case CodeEvent::kReference:
    case CodeEvent::kCallThrough:
      if (Yields(LookUpCallTarget(fact.target), generation)) return Reason::Kind::kCalls;
      break;
    case CodeEvent::kCallPointer:
    case CodeEvent::kJumpThrough:
      break;
    case CodeEvent::kJumpOut:
      // A tail call leaves no frame behind, and the callee's is looked at by itself.
      parts->AddTargetOfJump(fact.target);
      break;
  }
  return Reason::Kind::kNot;
}

Reason Explain(const FunctionBounds& function, uint32_t generation) {
  Parts parts(function);
  for (size_t i = 0; i < parts.count(); ++i) {
    CodeScanner scanner(parts[i].begin, parts[i].end);
    for (CodeFact fact; scanner.Next(&fact);) {
      const Reason::Kind kind = ReportBinds(fact, generation, &parts);
      if (kind != Reason::Kind::kNot) return {kind, fact.pc, fact.target};
    }
  }
  if (parts.overflow()) return {Reason::Kind::kTooLarge, function.begin};
  if (!parts.complete()) return {Reason::Kind::kPart, function.begin};
  return {};
}

// --- Counts by function ---

struct Site {
  std::atomic<uintptr_t> function{0};
  std::atomic<uint64_t> count{0};
};
constexpr size_t kSites = 1024;
constinit Site sites[kSites];
constinit std::atomic<uint64_t> elsewhere{0};  // counts for which there was no place

std::string Name(uintptr_t pc) {
  const TextDescription text = PreemptionMap::Describe(pc);
  if (text.module.empty()) return "code that is gone";
  if (!text.symbol.empty()) return text.module + ": " + text.symbol;
  char number[32];
  std::snprintf(number, sizeof(number), "+0x%lx", static_cast<unsigned long>(text.offset));
  return text.module + number;
}

// The function that a call reaches, directly or through a word of the caller's module.
std::string NameOfCallee(uintptr_t callee) {
  uintptr_t slot = callee;
  if (PreemptionMap::Classify(callee) != TextKind::kUnknown) {
    slot = SlotOfStub(callee);
    if (slot == 0) return Name(callee);
  }
  return Name(*reinterpret_cast<const uintptr_t*>(slot));
}

std::string Describe(const ThreadBoundReason& reason) {
  switch (reason.kind) {
    case Reason::Kind::kNot:
      return "not bound (any more)";
    case Reason::Kind::kTouches:
      return "touches thread-local memory";
    case Reason::Kind::kSystemCall:
      return "makes a system call";
    case Reason::Kind::kCalls:
      return "calls " + NameOfCallee(reason.callee);
    case Reason::Kind::kUndecodable:
      return "can't be decoded";
    case Reason::Kind::kPart:
      return "a part of a function that isn't found";
    case Reason::Kind::kTooLarge:
      break;
  }
  return "too large to be decoded";
}

}  // namespace

bool IsThreadBound(const FunctionBounds& function) {
  // Before the code is read: see the file's comment.
  const uint32_t generation = CodeGeneration();
  switch (Recall(function.begin, Question::kBound, generation)) {
    case Answer::kNo:
      return false;
    case Answer::kYes:
      return true;
    case Answer::kUnknown:
      break;
  }
  const bool bound = Explain(function, generation).kind != Reason::Kind::kNot;
  Remember(function.begin, Question::kBound, bound ? Answer::kYes : Answer::kNo, generation);
  return bound;
}

ThreadBoundReason ExplainThreadBound(const FunctionBounds& function) {
  return Explain(function, CodeGeneration());
}

void CountThreadBound(uintptr_t function_begin) {
  const size_t hash = function_begin * 0x9e3779b97f4a7c15 >> 48;
  for (size_t probe = 0; probe < kProbes; ++probe) {
    Site& site = sites[(hash + probe) % kSites];
    uintptr_t there = site.function.load(std::memory_order_relaxed);
    if (there == function_begin ||
        (there == 0 &&
         (site.function.compare_exchange_strong(there, function_begin, std::memory_order_relaxed) ||
          there == function_begin))) {
      site.count.fetch_add(1, std::memory_order_relaxed);
      return;
    }
  }
  elsewhere.fetch_add(1, std::memory_order_relaxed);
}

void PrintThreadBound(int fd) {
  struct Row {
    uint64_t count;
    uintptr_t function;
  };
  std::vector<Row> rows;
  for (const Site& site : sites) {
    if (const uint64_t count = site.count.load(std::memory_order_relaxed)) {
      rows.push_back({count, site.function.load(std::memory_order_relaxed)});
    }
  }
  std::sort(rows.begin(), rows.end(), [](Row a, Row b) { return a.count > b.count; });
  for (const Row& row : rows) {
    FunctionBounds bounds;
    const bool there = BoundsOf(row.function, &bounds);
    base::RawWriter(fd) << "urge: threadbound: " << row.count << " x " << Name(row.function) << ", "
                        << (there ? Describe(ExplainThreadBound(bounds)) : std::string("gone"))
                        << "\n";
  }
  if (const uint64_t rest = elsewhere.load(std::memory_order_relaxed)) {
    base::RawWriter(fd) << "urge: threadbound: " << rest << " x other functions\n";
  }
}

}  // namespace urge::preempt

// A frame walker without locks or allocation, for stacks of goroutines that are not running.
//
// 1. Each frame's pc is looked up in the CFI cache, which maps it to a compact rule: where the CFA
//    is, and at which offsets from it the return address and the callee-saved registers were saved.
// 2. On a miss the frame description is found (eh_frame.h), its program run up to the pc
//    (cfa_program.h), and the result put into the cache if it fits the compact form.
// 3. What does not fit (expressions, signal frames that restore all registers) is computed anew
// each
//    time; those are a handful of frames per process.
//
// Invariants
//  - Memory is read only inside the stack ranges given, so a corrupt stack ends the walk with
//    kBadStack and never faults. Within one range the CFA must grow; where a corrupt stack
//    alternates between ranges, max_frames ends the walk.
//  - The cache is one fixed array. Readers and writers never wait; see cfi.cc for the argument.
//  - Rules of an unloaded module are never used: entries carry a generation, and whoever unloads
//    calls InvalidateCfiCache.
//
// The pc of every frame but the innermost (and but those called by a signal frame) is a return
// address: it may lie one past the end of its function, so all lookups use `lookup_pc`.
//
// Rejected: libunwind (0.7 us a frame warm, with two sigprocmask calls and a pthread lock);
// libgcc's unwinder (finds frames without a lock since glibc 2.35, but decodes the CFA program at
// each, takes the registry's lock when frames were registered, and can't be bounded to a stack).

#ifndef URGE_RUNTIME_PREEMPT_CFI_H_
#define URGE_RUNTIME_PREEMPT_CFI_H_

#include <cstdint>
#include <span>
#include <type_traits>

#include "runtime/preempt/cfa_program.h"
#include "runtime/preempt/stack_memory.h"

namespace urge::preempt {

// The code that one FDE covers.
struct FunctionBounds {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool signal_frame = false;
};

struct Frame {
  uintptr_t pc = 0;
  uintptr_t cfa = 0;  // 0 where the walk ended before it was known
  FunctionBounds function;
  bool is_return_address = false;
  bool has_cfi = false;

  // An address that certainly lies in the function which is executing.
  uintptr_t lookup_pc() const { return pc - (is_return_address ? 1 : 0); }
};

enum class WalkEnd {
  kEndOfStack,  // the return address is undefined or zero
  kNoCfi,       // no description for the last frame's pc, or one that is not supported
  kBadStack,    // a frame lies outside the stack, or not above its callee
  kLimit,       // max_frames were visited
  kStopped,     // the visitor returned false
};

// Where a walk starts. `rip` and `rsp` must be right; of the others only those that CFI refers to:
// rbp, rbx and r12-r15 at a call or switch, all at an interrupted instruction.
using WalkStart = Registers;

// One walk. Signal-safe: yes. Runs on: anything with 8 KiB of stack to spare.
class FrameWalker {
 public:
  // `is_return_address`: start.rip is where a call will return to, not an interrupted instruction.
  FrameWalker(const WalkStart& start, std::span<const StackRange> stack, bool is_return_address);

  // Describes the current frame and moves on to its caller. False if there is none: `*frame` is
  // filled all the same, and end() says why.
  bool Next(Frame* frame);
  WalkEnd end() const { return end_; }
  const Registers& registers() const { return registers_; }

 private:
  bool Finish(WalkEnd end) {
    end_ = end;
    return false;
  }
  bool NextSlowly(Frame* frame);
  bool MoveOn(Frame* frame, CfaResult result);

  Registers registers_;
  StackMemory memory_;
  const StackRange* range_ = nullptr;  // the range that holds the last CFA
  uintptr_t last_cfa_ = 0;
  WalkEnd end_ = WalkEnd::kEndOfStack;
  bool is_return_address_;
};

// Visits the frames from `start` outwards. `visitor(const Frame&)` returns whether to go on.
template <class Visitor>
WalkEnd WalkFrames(const WalkStart& start, std::span<const StackRange> stack, int max_frames,
                   Visitor&& visitor, bool is_return_address = false) {
  static_assert(std::is_invocable_r_v<bool, Visitor, const Frame&>);
  FrameWalker walker(start, stack, is_return_address);
  for (int i = 0; i < max_frames; ++i) {
    Frame frame;
    const bool more = walker.Next(&frame);
    if (!visitor(static_cast<const Frame&>(frame))) return WalkEnd::kStopped;
    if (!more) return walker.end();
  }
  return WalkEnd::kLimit;
}
template <class Visitor>
WalkEnd WalkFrames(const WalkStart& start, uintptr_t stack_lo, uintptr_t stack_hi, int max_frames,
                   Visitor&& visitor, bool is_return_address = false) {
  const StackRange stack[] = {{stack_lo, stack_hi}};
  return WalkFrames(start, stack, max_frames, static_cast<Visitor&&>(visitor), is_return_address);
}

// The bounds of the function that holds `pc` (not a return address). Signal-safe: yes.
bool BoundsOf(uintptr_t pc, FunctionBounds* out);

// False if the code at `begin`, where an FDE begins, is entered from within another function: a
// part (".cold") that compilers lay down elsewhere. Told by its unwind rule: where a function is
// entered, nothing but the return address is on the stack.
bool IsFunctionEntry(uintptr_t begin);

// Makes every cached rule stale, and whatever else is remembered of code by its address
// (CodeGeneration). Call before a module is unmapped and after one was mapped. Signal-safe: yes.
void InvalidateCfiCache();
// Rises with each InvalidateCfiCache. Signal-safe: yes.
uint32_t CodeGeneration();

// Counters of the cache, for metrics. Approximate: concurrent updates may be lost.
struct CfiCacheStats {
  uint64_t fills = 0;     // rules computed and stored
  uint64_t uncached = 0;  // rules computed that don't fit the compact form
};
CfiCacheStats ReadCfiCacheStats();

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_CFI_H_

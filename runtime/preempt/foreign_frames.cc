// Applies the preemption map to the frames of a goroutine; see foreign_frames.h.

#include "runtime/preempt/foreign_frames.h"

#include "runtime/preempt/thread_bound.h"

namespace urge::preempt {

bool MayHoldLock(TextKind kind) {
  switch (kind) {
    case TextKind::kPreemptible:
    case TextKind::kPure:
    case TextKind::kCallsBack:
    case TextKind::kRuntime:
      return false;
    case TextKind::kOpaque:
    case TextKind::kDenied:
    case TextKind::kUnknown:
      break;
  }
  return true;
}

ForeignFrames FindForeignFrames(const WalkStart& start, std::span<const StackRange> stack,
                                bool is_return_address) {
  ForeignFrames found;
  bool past_entry = false;     // outside the runtime's own way into the switch
  bool runtime_frame = false;  // the previous frame was the runtime's, past that
  const auto visit = [&](const Frame& frame) {
    ++found.frames;
    // A frame of the runtime with a caller: the goroutine was inside an operation of ours.
    if (runtime_frame) return false;
    found.pc = frame.pc;
    found.kind = PreemptionMap::Classify(frame.lookup_pc());
    if (found.kind != TextKind::kRuntime) {
      past_entry = true;
    } else if (past_entry) {
      runtime_frame = true;
    }
    if (MayHoldLock(found.kind)) return false;
    const bool judged = found.kind == TextKind::kPreemptible || found.kind == TextKind::kCallsBack;
    if (judged && found.bound_begin == 0 && frame.has_cfi && IsThreadBound(frame.function)) {
      found.bound_begin = frame.function.begin;
    }
    return true;
  };
  found.end = WalkFrames(start, stack, kForeignFramesMax, visit, is_return_address);
  switch (found.end) {
    case WalkEnd::kStopped:
      found.verdict = ForeignVerdict::kHoldsForeign;
      break;
    case WalkEnd::kEndOfStack:
      found.verdict = ForeignVerdict::kClear;
      break;
    case WalkEnd::kNoCfi:
    case WalkEnd::kBadStack:
      found.verdict = ForeignVerdict::kUnwalkable;
      break;
    case WalkEnd::kLimit:
      found.verdict = ForeignVerdict::kTooDeep;
      break;
  }
  return found;
}

}  // namespace urge::preempt

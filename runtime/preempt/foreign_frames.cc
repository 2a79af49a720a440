// Applies the preemption map to the frames of a goroutine; see foreign_frames.h.

#include "runtime/preempt/foreign_frames.h"

namespace urge::preempt {

bool MayHoldLock(TextKind kind) {
  switch (kind) {
    case TextKind::kPreemptible:
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
  const auto visit = [&found](const Frame& frame) {
    ++found.frames;
    found.pc = frame.pc;
    found.kind = PreemptionMap::Classify(frame.lookup_pc());
    return !MayHoldLock(found.kind);
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
    case WalkEnd::kLimit:
      found.verdict = ForeignVerdict::kUnwalkable;
      break;
  }
  return found;
}

}  // namespace urge::preempt

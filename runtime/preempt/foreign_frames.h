// What lies below a preempted goroutine: a foreign frame, that may hold a lock? Code that is bound
// to its thread?
//
// The interrupted pc alone does not tell: a callback of dl_iterate_phdr (under the loader's lock),
// of call_once or of exit (atexit), and the callee of a denied function all have the pc of the
// user's own code. If such a goroutine were switched off, others could wait for the lock for ever,
// or another goroutine could enter the foreign code on the same thread.
//
// 1. Frames are walked from the interrupted pc outwards to the bottom of the goroutine's stack.
// 2. A frame in opaque, denied or unknown text holds the goroutine: it must go on at once.
// 3. Preemptible frames are clear. So are the runtime's own at both ends: the way into the switch,
//    and the goroutine's bottom frame. One in between means that an operation of the runtime was
//    interrupted in a preemptible leaf that it called (memcpy, say): it must go on.
// 4. A walk that does not reach the bottom proves nothing: the goroutine goes on. Only where so
//    many frames were clear that the walk was given up is it taken for clear, and bound.
// 5. On the way each preemptible function is looked up, whether it is thread-bound
//    (thread_bound.h). The runtime's own frames are not: its code never keeps what it learns of its
//    thread over a switch (sched/current.h). Neither are pure ones.
//
// A few foreign functions are known by name to hold nothing while they call back: qsort, bsearch
// and their kin (policy.cc). They never run to their end soon: a sort of a million strings takes a
// second.
//
// Runs on: g0, once the goroutine is off its processor. Takes no lock, allocates nothing.

#ifndef URGE_RUNTIME_PREEMPT_FOREIGN_FRAMES_H_
#define URGE_RUNTIME_PREEMPT_FOREIGN_FRAMES_H_

#include <cstdint>
#include <span>

#include "runtime/preempt/cfi.h"
#include "runtime/preempt/map.h"

namespace urge::preempt {

enum class ForeignVerdict {
  kClear,         // every frame down to the bottom may be switched off
  kHoldsForeign,  // a foreign frame may hold a lock
  kUnwalkable,    // a frame could not be left
  kTooDeep,       // kForeignFramesMax frames are clear, and there are more
};

struct ForeignFrames {
  ForeignVerdict verdict = ForeignVerdict::kUnwalkable;
  uintptr_t pc = 0;  // of the foreign frame, or of the frame that could not be left
  TextKind kind = TextKind::kUnknown;
  WalkEnd end = WalkEnd::kStopped;
  int frames = 0;             // walked
  uintptr_t bound_begin = 0;  // the innermost thread-bound function; 0: none
};

// Deeper stacks are not walked to their ends (this takes about 1 ms).
inline constexpr int kForeignFramesMax = 1 << 15;

// `start` is the interrupted context, or, if `is_return_address`, that of a call.
ForeignFrames FindForeignFrames(const WalkStart& start, std::span<const StackRange> stack,
                                bool is_return_address = false);

// The rule for one frame.
bool MayHoldLock(TextKind kind);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_FOREIGN_FRAMES_H_

// The frames of one stack, printed innermost first, as in Go's tracebacks:
//
//   main::worker()
//           /usr/bin/program+0x1234
//
//  1. A walk starts from a Context: the caller's own (CaptureContext), that of a goroutine which
//     is off its processor (what urge_switch left at gp->sp), or that of a signal.
//  2. It is done by preempt::FrameWalker, which reads only inside the stack, takes no lock and
//     doesn't allocate; it passes injected calls (asyncPreempt) and signal frames by their CFI.
//  3. A walk yields a Stack: the addresses, to be named and printed there and then, or later, by
//     another thread. One of more than kMaxFrames keeps the innermost and the outermost half of
//     that number; the outermost are kept in a ring while the walk goes on, so a runaway
//     recursion's first calls are seen whatever its depth.
//
// Rejected: libunwind (a pthread lock and two system calls per frame, and it may fault on a
// corrupt stack).
//
// Signal-safe: all of it, but for printing with Places::kLines. Needs about 8 KiB of stack.

#ifndef URGE_RUNTIME_TRACEBACK_FRAMES_H_
#define URGE_RUNTIME_TRACEBACK_FRAMES_H_

#include <ucontext.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "runtime/base/print.h"
#include "runtime/preempt/cfi.h"
#include "runtime/sched/g.h"

namespace urge::traceback {

// Frames shown of one stack. Go: tracebackInnerFrames and tracebackOuterFrames, 50 each.
inline constexpr int kMaxFrames = 100;

struct Context {
  preempt::Registers registers;
  // registers.rip is where a call returns to, not an instruction that was interrupted.
  bool is_return_address = false;
};

// The caller's own context; walk it only while the caller's frame lives.
[[gnu::always_inline]] inline Context CaptureContext() {
  Context context;
  preempt::Registers& r = context.registers;
  // One block, and nothing pushed in it: the CFI that holds at the label describes all of it.
  asm volatile(
      "movq %%rbx, %0\n\t"
      "movq %%rbp, %1\n\t"
      "movq %%rsp, %2\n\t"
      "movq %%r12, %3\n\t"
      "movq %%r13, %4\n\t"
      "movq %%r14, %5\n\t"
      "movq %%r15, %6\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "movq %%rax, %7\n"
      "1:"
      : "=m"(r.rbx), "=m"(r.rbp), "=m"(r.rsp), "=m"(r.r12), "=m"(r.r13), "=m"(r.r14), "=m"(r.r15),
        "=m"(r.rip)
      :
      : "rax");
  return context;
}

// Requires: gp is off its processor and stays so, or the result is meaningless (but harmless).
Context ContextOfParked(const sched::G* gp);
Context ContextOfSignal(const ucontext_t* signal);

// What a walk found.
struct Stack {
  std::uint64_t total = 0;  // frames walked
  int count = 0;            // of these, in pcs
  bool wild_call = false;   // pcs[0] is where a call through a bad pointer led
  preempt::WalkEnd end = preempt::WalkEnd::kEndOfStack;
  std::string_view note{};  // in place of frames; a literal
  // As for PrintFrame; behind the first half, if total > kMaxFrames, frames are missing.
  std::uintptr_t pcs[kMaxFrames];
};

void CaptureStack(const Context& start, preempt::StackRange range, Stack* stack);

enum class Detail {
  kUser,    // without the runtime's own frames
  kSystem,  // all
};
enum class Places {
  kOffsets,  // module and offset, as addr2line takes them. Signal-safe
  kLines,    // file and line, and frames for inlined calls, where there is debug information
};

// Prints the frames, innermost first.
void PrintStack(base::RawWriter& out, const Stack& stack, Detail detail,
                Places places = Places::kOffsets);
// Both in one. Returns how the walk ended.
preempt::WalkEnd PrintFrames(base::RawWriter& out, const Context& start, preempt::StackRange range,
                             Detail detail);

// One frame, or more where calls were inlined. `pc` is an address inside the function: for a return
// address, one less. False if all was left out.
bool PrintFrame(base::RawWriter& out, std::uintptr_t pc, Detail detail,
                Places places = Places::kOffsets);

// created by main::serve in goroutine 1
//         server.cc:80 +0x1c
void PrintCreator(base::RawWriter& out, std::uintptr_t pc, std::uint64_t parent_goid,
                  Places places);

// The pcs (as for PrintFrame) of at most pcs.size() frames; returns how many.
int CollectFrames(const Context& start, preempt::StackRange range, std::span<std::uintptr_t> pcs);

inline preempt::StackRange RangeOf(const sched::G* gp) { return {gp->stack.lo, gp->stack.hi}; }

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_FRAMES_H_

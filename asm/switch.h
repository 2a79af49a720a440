// switch.h: C++ face of asm/x86_64/switch.S and entry.S.

#ifndef URGE_ASM_SWITCH_H_
#define URGE_ASM_SWITCH_H_

#include <cstddef>
#include <cstdint>

#include "asm/offsets.h"

extern "C" {

/// Saves the running context on its stack and its RSP in *save_sp, moves to the stack load_sp,
/// calls after(arg) there unless after is null, and resumes the context saved there.
///
/// Requires: load_sp came from urge_switch or urge_make_context, and runs nowhere.
/// `after` runs on the new stack once the old context is complete: the one place where it may be
/// published. The thread may be another when this returns: re-read everything that belongs to it.
[[gnu::visibility("hidden")]] void urge_switch(void** save_sp, void* load_sp, void (*after)(void*),
                                               void* arg);

/// Bottom frame of every goroutine; not callable. Go: goexit.
[[gnu::visibility("hidden")]] void urge_goexit();

/// Ends the running goroutine; called by urge_goexit when `invoke` has returned. The scheduler
/// defines it.
[[noreturn, gnu::visibility("hidden")]] void urge_goexit0();

}  // extern "C"

/// What urge_switch leaves at a saved RSP.
struct urge_context_frame {
  std::uint32_t mxcsr;
  std::uint16_t fcw;
  std::uint16_t pad;
  std::uint64_t r15;
  std::uint64_t r14;
  std::uint64_t r13;
  std::uint64_t r12;
  std::uint64_t rbx;
  std::uint64_t rbp;
  std::uint64_t pc;
};

/// Builds a fresh context that calls invoke(closure) and then urge_goexit0, and returns the RSP to
/// switch to.
///
/// The context inherits the caller's MXCSR and x87 control word, as a new pthread does.
/// Requires: 96 writable bytes below stack_top.
inline void* urge_make_context(void* stack_top, void (*invoke)(void*), void* closure) {
  // 16 bytes of zeros above the frame keep the bottom frame's CFA inside the stack.
  auto top = (reinterpret_cast<std::uintptr_t>(stack_top) & ~std::uintptr_t{15}) - 16;
  auto* pad = reinterpret_cast<std::uint64_t*>(top);
  pad[0] = pad[1] = 0;
  auto* frame = reinterpret_cast<urge_context_frame*>(top - URGE_CONTEXT_BYTES);
  *frame = {};
  __asm__("stmxcsr %0" : "=m"(frame->mxcsr));
  __asm__("fnstcw %0" : "=m"(frame->fcw));
  frame->r12 = reinterpret_cast<std::uint64_t>(closure);
  frame->rbx = reinterpret_cast<std::uint64_t>(invoke);
  frame->pc = reinterpret_cast<std::uint64_t>(&urge_goexit) + URGE_GOEXIT_ENTRY;
  return frame;
}

#endif  // URGE_ASM_SWITCH_H_

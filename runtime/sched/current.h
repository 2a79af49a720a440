// The one door to the runtime's thread-local state.
//
// A goroutine may go on on another thread after any switch, so an address or value derived from
// the thread pointer must not be kept across one. A compiler is free to keep &thread_local
// (C++ has no notion of changing threads), so the slot is read by one volatile instruction pair
// that it can neither merge nor hoist. Source: the same hazard in every M:N library; Go keeps g in
// a register or reads %fs:g afresh.

#ifndef URGE_RUNTIME_SCHED_CURRENT_H_
#define URGE_RUNTIME_SCHED_CURRENT_H_

#include <cstdint>

#include "runtime/sched/m.h"

extern "C" {
extern __attribute__((visibility("hidden"),
                      tls_model("initial-exec"))) __thread urge::sched::M* urge_current_m;
}

namespace urge::sched {

// The calling thread's M, or null on a thread that isn't the runtime's. Signal-safe: yes.
inline M* CurrentM() {
  M* m;
  asm volatile(
      "movq urge_current_m@gottpoff(%%rip), %0\n\t"
      "movq %%fs:(%0), %0"
      : "=r"(m));
  return m;
}

// Sets the guard word that the running code's prologues compare with; 0 lets all pass.
inline void SetGuardWord(std::uintptr_t guard) {
  asm volatile("movq %0, %%fs:0x70" : : "r"(guard) : "memory");
}
inline std::uintptr_t GetGuardWord() {
  std::uintptr_t guard;
  asm volatile("movq %%fs:0x70, %0" : "=r"(guard));
  return guard;
}

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_CURRENT_H_

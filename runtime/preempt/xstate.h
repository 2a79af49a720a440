// xstate.h: how asyncPreempt saves the extended processor state.
//
// 1. InitXState asks CPUID leaf 0xD and XGETBV once, before the first preemption.
// 2. The result is one hidden struct, urge_xstate, that asm/x86_64/async_preempt.S reads at each
// preemption.
// 3. AsyncPreemptStackBytes tells the signal handler how much stack an injection will need.
//
// PKRU is never saved: protection keys belong to the thread, and restoring them late would undo
// another thread's choice. AMX tile data is in the mask whenever XCR0 has it, whatever the process
// is permitted: tiles that are not permitted are in their initial state, so nothing is stored for
// them, and XRSTOR of an initial state needs no permission. Permission granted later therefore
// needs no recomputation. What differs is the room: tiles need it only while they are live, and
// both sides find that out each time, the handler from the signal frame's XSTATE_BV, asyncPreempt
// from XGETBV(1).

#ifndef URGE_RUNTIME_PREEMPT_XSTATE_H_
#define URGE_RUNTIME_PREEMPT_XSTATE_H_

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

#include "asm/offsets.h"

/// What asyncPreempt saves and how. Written once by InitXState; before that, the safe subset: x87
/// and SSE by FXSAVE.
struct urge_xstate {
  std::uint64_t mask;        ///< State components for XSAVE and XRSTOR.
  std::uint32_t size;        ///< Bytes of the area without live tiles.
  std::uint32_t kind;        ///< URGE_XSTATE_FXSAVE, _XSAVE or _XSAVEC.
  std::uint32_t tile_bytes;  ///< Bytes the area grows by while AMX tiles are live.
  std::uint32_t pad;
};

extern "C" {

/// Read by asm/x86_64/async_preempt.S.
extern struct urge_xstate urge_xstate [[gnu::visibility("hidden")]];

/// Injected call: saves everything, calls urge_async_preempt_park, restores everything. Not
/// callable.
[[gnu::visibility("hidden")]] void urge_async_preempt();

/// Switches the preempted goroutine off and returns when it goes on, perhaps on another thread.
/// Runs on: G, inside the frame of urge_async_preempt. Must not throw.
[[gnu::visibility("hidden")]] void urge_async_preempt_park();

}  // extern "C"

namespace urge::preempt {

/// Fills urge_xstate for this processor. Idempotent. Requires: no preemption before it returns.
void InitXState();

/// Stack that an injection takes below the interrupted RSP, up to the call of
/// urge_async_preempt_park: red zone, registers, extended state and alignment. The worst case, with
/// live tiles. Signal-safe. Units: bytes.
std::size_t AsyncPreemptStackBytes();

/// As above, but exact for the state that a signal handler was given: tiles are counted only if
/// they are live. Signal-safe.
std::size_t AsyncPreemptStackBytes(const ucontext_t& interrupted);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_XSTATE_H_

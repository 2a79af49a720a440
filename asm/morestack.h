// morestack.h: what liburge_split.a (asm/x86_64/morestack.S) asks of the runtime.
//
// The archive sits in every instrumented module and reaches these through weak references, so the
// runtime must export them with default visibility. None may throw; all run on the goroutine's
// stack, close to its end.

#ifndef URGE_ASM_MORESTACK_H_
#define URGE_ASM_MORESTACK_H_

#include <cstddef>
#include <cstdint>

#include "asm/offsets.h"

extern "C" {

/// What a prologue whose guard compare failed tells the runtime.
struct urge_morestack_args {
  std::uint64_t sp_at_entry;  ///< RSP on entry of the function: the address of its return address.
  std::uint64_t return_pc;    ///< The byte after `call __morestack`; it belongs to the function.
  std::uint64_t frame_size;   ///< Bytes of stack the function asks for.
  std::uint64_t arg_size;     ///< Bytes of stack arguments, at sp_at_entry + 8.
  std::uint64_t ticks;        ///< The time stamp counter on entry of __morestack.
};

/// Yields if asked to. Returns nullptr to go on in place, or the top of a segment to run the
/// function on.
///
/// Every argument register is saved around it. Requires: x87 and DF as the ABI says, as in any
/// call.
[[gnu::visibility("default")]] void* urge_newstack(urge_morestack_args* args);

/// The function that urge_newstack sent to a new segment has returned or thrown; runs on the old
/// segment again.
[[gnu::visibility("default")]] void urge_oldstack();

/// An alloca of `size` bytes below `sp` failed the guard compare. Returns nullptr to extend the
/// stack in place (by size, rounded up to 16, and URGE_ALLOCA_SLACK_BYTES), or a block that lives
/// until the calling function returns.
[[gnu::visibility("default")]] void* urge_stackspace(std::size_t size, std::uint64_t sp);

}  // extern "C"

#endif  // URGE_ASM_MORESTACK_H_

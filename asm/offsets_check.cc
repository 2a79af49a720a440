// offsets_check.cc: asserts that asm/offsets.h describes the structs. Compiles to nothing.

#include <cstddef>

#include "asm/morestack.h"
#include "asm/offsets.h"
#include "asm/switch.h"
#include "runtime/preempt/xstate.h"

#define URGE_ASSERT_OFFSET(type, field, offset) \
  static_assert(offsetof(type, field) == (offset), #type "::" #field)

URGE_ASSERT_OFFSET(urge_context_frame, mxcsr, URGE_CONTEXT_MXCSR);
URGE_ASSERT_OFFSET(urge_context_frame, fcw, URGE_CONTEXT_FCW);
URGE_ASSERT_OFFSET(urge_context_frame, r15, URGE_CONTEXT_R15);
URGE_ASSERT_OFFSET(urge_context_frame, r14, URGE_CONTEXT_R14);
URGE_ASSERT_OFFSET(urge_context_frame, r13, URGE_CONTEXT_R13);
URGE_ASSERT_OFFSET(urge_context_frame, r12, URGE_CONTEXT_R12);
URGE_ASSERT_OFFSET(urge_context_frame, rbx, URGE_CONTEXT_RBX);
URGE_ASSERT_OFFSET(urge_context_frame, rbp, URGE_CONTEXT_RBP);
URGE_ASSERT_OFFSET(urge_context_frame, pc, URGE_CONTEXT_PC);
static_assert(sizeof(urge_context_frame) == URGE_CONTEXT_BYTES);
static_assert(offsetof(urge_context_frame, r15) == URGE_CONTROL_BYTES);

using XState = struct urge_xstate;
URGE_ASSERT_OFFSET(XState, mask, URGE_XSTATE_MASK);
URGE_ASSERT_OFFSET(XState, size, URGE_XSTATE_SIZE);
URGE_ASSERT_OFFSET(XState, kind, URGE_XSTATE_KIND);
URGE_ASSERT_OFFSET(XState, tile_bytes, URGE_XSTATE_TILE_BYTES);

URGE_ASSERT_OFFSET(urge_morestack_args, sp_at_entry, URGE_MORESTACK_ARGS_SP_AT_ENTRY);
URGE_ASSERT_OFFSET(urge_morestack_args, return_pc, URGE_MORESTACK_ARGS_RETURN_PC);
URGE_ASSERT_OFFSET(urge_morestack_args, frame_size, URGE_MORESTACK_ARGS_FRAME_SIZE);
URGE_ASSERT_OFFSET(urge_morestack_args, arg_size, URGE_MORESTACK_ARGS_ARG_SIZE);
URGE_ASSERT_OFFSET(urge_morestack_args, ticks, URGE_MORESTACK_ARGS_TICKS);
static_assert(sizeof(urge_morestack_args) == URGE_MORESTACK_ARGS_BYTES);

// The frames' own arithmetic.
static_assert(-URGE_PREEMPT_PC == URGE_RED_ZONE_BYTES + 8);
static_assert(URGE_PREEMPT_RFLAGS == URGE_PREEMPT_PC - 8);
static_assert(URGE_PREEMPT_RBP == URGE_PREEMPT_RFLAGS - 8);
static_assert(URGE_PREEMPT_R15 == URGE_PREEMPT_RBP - 14 * 8);
static_assert(URGE_PREEMPT_MXCSR == URGE_PREEMPT_R15 - 8);
static_assert(URGE_PREEMPT_FIXED_BYTES == -URGE_PREEMPT_MXCSR);
static_assert(URGE_MORESTACK_ARGS + URGE_MORESTACK_ARGS_BYTES == URGE_MORESTACK_R9);
static_assert(URGE_MORESTACK_NEWSTACK == URGE_MORESTACK_ARGS - 8);
static_assert(URGE_MORESTACK_RBX == URGE_MORESTACK_NEWSTACK - 8);
static_assert(URGE_MORESTACK_FRAME_BYTES == -URGE_MORESTACK_RBX);
static_assert(URGE_XSAVE_HEADER == URGE_XSAVE_LEGACY_BYTES);
static_assert(URGE_XSAVE_XSTATE_BV == URGE_XSAVE_HEADER);

// offsets.h: every layout and every magic number that assembly and C++ share.
//
// Plain macros only, because both .S and C++ files include it. Each struct offset is asserted in
// asm/offsets_check.cc; nothing in a .S file spells an offset as a bare number.

#ifndef URGE_ASM_OFFSETS_H_
#define URGE_ASM_OFFSETS_H_

// ---- The frame of a context that is switched off (urge_switch, urge_make_context), from its saved
// RSP up.
#define URGE_CONTEXT_MXCSR 0
#define URGE_CONTEXT_FCW 4
#define URGE_CONTEXT_R15 8
#define URGE_CONTEXT_R14 16
#define URGE_CONTEXT_R13 24
#define URGE_CONTEXT_R12 32
#define URGE_CONTEXT_RBX 40
#define URGE_CONTEXT_RBP 48
#define URGE_CONTEXT_PC 56
#define URGE_CONTEXT_BYTES 64
// Bytes of one control-word slot, which holds MXCSR and the x87 control word.
#define URGE_CONTROL_BYTES 8
// A fresh context returns to urge_goexit + this: behind its first byte, so that PC - 1, which
// unwinders look up, is still urge_goexit. Go: goexit + PCQuantum.
#define URGE_GOEXIT_ENTRY 1

// ---- Control words.
// MXCSR's control bits: DAZ, the six exception masks, rounding, FTZ. Bits 0-5 are sticky status.
#define URGE_MXCSR_CONTROL 0xFFC0
#define URGE_MXCSR_DEFAULT 0x1F80

// ---- EFLAGS bits that must not leak from an interrupted goroutine into the runtime.
#define URGE_EFLAGS_TF 0x00000100
#define URGE_EFLAGS_AC 0x00040000

// ---- The frame of urge_async_preempt. Offsets are from the CFA, which is the interrupted RSP.
#define URGE_RED_ZONE_BYTES 128
#define URGE_PREEMPT_PC -136
#define URGE_PREEMPT_RFLAGS -144
#define URGE_PREEMPT_RBP -152
#define URGE_PREEMPT_RAX -160
#define URGE_PREEMPT_RCX -168
#define URGE_PREEMPT_RDX -176
#define URGE_PREEMPT_RBX -184
#define URGE_PREEMPT_RSI -192
#define URGE_PREEMPT_RDI -200
#define URGE_PREEMPT_R8 -208
#define URGE_PREEMPT_R9 -216
#define URGE_PREEMPT_R10 -224
#define URGE_PREEMPT_R11 -232
#define URGE_PREEMPT_R12 -240
#define URGE_PREEMPT_R13 -248
#define URGE_PREEMPT_R14 -256
#define URGE_PREEMPT_R15 -264
#define URGE_PREEMPT_MXCSR -272 /* scratch for stmxcsr */
#define URGE_PREEMPT_FIXED_BYTES 272

// ---- struct urge_xstate (runtime/preempt/xstate.h).
#define URGE_XSTATE_MASK 0
#define URGE_XSTATE_SIZE 8
#define URGE_XSTATE_KIND 12
#define URGE_XSTATE_TILE_BYTES 16
// urge_xstate.kind.
#define URGE_XSTATE_FXSAVE 0
#define URGE_XSTATE_XSAVE 1
#define URGE_XSTATE_XSAVEC 2

// ---- The XSAVE area (Intel SDM vol. 1, 13.4) and state components.
#define URGE_XSAVE_ALIGN 64
#define URGE_XSAVE_LEGACY_BYTES 512
#define URGE_XSAVE_HEADER 512
#define URGE_XSAVE_HEADER_BYTES 64
#define URGE_XSAVE_XSTATE_BV 512
#define URGE_XFEATURE_X87 0x1
#define URGE_XFEATURE_SSE 0x2
#define URGE_XFEATURE_AVX 0x4
#define URGE_XFEATURE_AVX512 0xE0
#define URGE_XFEATURE_PKRU 0x200
#define URGE_XFEATURE_TILE_CFG 0x20000
#define URGE_XFEATURE_TILE_DATA 0x40000

// ---- CPUID.
#define URGE_CPUID_1_ECX_OSXSAVE_BIT 27
#define URGE_CPUID_XSTATE_LEAF 0xd
#define URGE_CPUID_XSTATE_EAX_XSAVEC_BIT 1

// ---- __morestack (asm/x86_64/morestack.S).
// struct urge_morestack_args (asm/morestack.h).
#define URGE_MORESTACK_ARGS_SP_AT_ENTRY 0
#define URGE_MORESTACK_ARGS_RETURN_PC 8
#define URGE_MORESTACK_ARGS_FRAME_SIZE 16
#define URGE_MORESTACK_ARGS_ARG_SIZE 24
#define URGE_MORESTACK_ARGS_TICKS 32
#define URGE_MORESTACK_ARGS_BYTES 40
// Its frame, as offsets from its RBP.
#define URGE_MORESTACK_STACK_ARGS 24 /* gcc's va_start functions know this one */
#define URGE_MORESTACK_CALLER_PC 16
#define URGE_MORESTACK_RETURN_PC 8
#define URGE_MORESTACK_RAX -8
#define URGE_MORESTACK_RDI -16
#define URGE_MORESTACK_RSI -24
#define URGE_MORESTACK_RDX -32
#define URGE_MORESTACK_RCX -40
#define URGE_MORESTACK_R8 -48
#define URGE_MORESTACK_R9 -56
#define URGE_MORESTACK_ARGS -96 /* its struct urge_morestack_args */
#define URGE_MORESTACK_NEWSTACK -104
#define URGE_MORESTACK_RBX -112
#define URGE_MORESTACK_FRAME_BYTES 112
// The vector state it saves: SSE, AVX, AVX-512. 2,688 bytes hold that in the standard format of
// every processor; the compacted one needs 2,432.
#define URGE_MORESTACK_XSAVE_BYTES 2688
#define URGE_MORESTACK_ARG_MASK (URGE_XFEATURE_SSE | URGE_XFEATURE_AVX | URGE_XFEATURE_AVX512)
#define URGE_MORESTACK_RESULT_MASK (URGE_XFEATURE_X87 | URGE_MORESTACK_ARG_MASK)
// All the stack that __morestack itself uses below the instrumented function's return address: two
// pushed words, its frame, the area with its alignment, and the return address of its callee. The
// guard must lie at least this far, plus what urge_newstack needs, above the end of the stack.
#define URGE_MORESTACK_STACK_BYTES \
  (16 + URGE_MORESTACK_FRAME_BYTES + URGE_MORESTACK_XSAVE_BYTES + URGE_XSAVE_ALIGN + 8)
// What __morestack_allocate_stack_space leaves below an alloca'd block for outgoing stack
// arguments.
#define URGE_ALLOCA_SLACK_BYTES 512
// Code bytes that gcc may put behind the call to __morestack.
#define URGE_CODE_LEA_24_RBP_R11 0x185d8d4c /* 4c 8d 5d 18  lea 24(%rbp),%r11: calls va_start */
#define URGE_CODE_MOV_RAX_R10 0xc28949      /* 49 89 c2     mov %rax,%r10: has a static chain */
// The guard word of the thread, which glibc reserves in the TCB for split stacks.
#define URGE_GUARD_FS_OFFSET 0x70

#endif  // URGE_ASM_OFFSETS_H_

// switch.S: the register switch between two contexts.
//
// 1. The callee-saved registers and the two control words go onto the running stack; RSP goes to *save_sp.
// 2. RSP becomes load_sp. From here on the routine runs on the new stack, whose frame has the same layout, so the
//    CFI is true on both sides of that one instruction.
// 3. after(arg) runs on the new stack. Only now is the old context complete, so only here may it be published
//    (queued, or its lock released): Go's unlock-after-switch.
// 4. The new context's registers are popped.
//
// Invariants: nothing reads the old stack once `after` may have run, since another thread may own it by then.
// Control words are loaded only where their control bits differ, because loading always costs 8.8 ns.
//
// Rejected: `pop; jmp *reg` for the last `ret`. In a ping-pong of two different call sites it takes 4 ns instead of 14,
// but it leaves the return stack one entry out of step, so that each return further up is mispredicted: with goroutines
// that switch through the same functions, which is what a scheduler does, `ret` takes 5 ns (6 ns from three calls deep)
// and `jmp` 15 ns (37 ns). For the same reason a scheduler should have one call site of urge_switch, not several.
// (Both at 2.0 GHz, control words included; storing and comparing these costs about 0.5 ns of it.)
//
// Not saved, and why: the vector, mask and x87 data registers and the flags are dead over a call; MXCSR's sticky
// status bits belong to nobody over a call; FS and GS belong to the thread; PKRU stays the thread's.

#include "asm/asm.h"

	URGE_RUNTIME_TEXT

// void urge_switch(void** save_sp /*rdi*/, void* load_sp /*rsi*/, void (*after)(void*) /*rdx*/, void* arg /*rcx*/)
//
//   push rbp, rbx, r12, r13, r14, r15, {mxcsr, fcw};
//   *save_sp = rsp;
//   rsp = load_sp;
//   if (control bits differ) load mxcsr / fcw from the new frame;
//   if (after) after(arg);
//   pop {}, r15, r14, r13, r12, rbx, rbp; return;
//
// Clobbers: what any call may clobber.
URGE_FUNCTION urge_switch, ordinary
	URGE_PUSH rbp
	URGE_PUSH rbx
	URGE_PUSH r12
	URGE_PUSH r13
	URGE_PUSH r14
	URGE_PUSH r15
	leaq	-URGE_CONTROL_BYTES(%rsp), %rsp
	.cfi_adjust_cfa_offset URGE_CONTROL_BYTES
	stmxcsr	URGE_CONTEXT_MXCSR(%rsp)
	fnstcw	URGE_CONTEXT_FCW(%rsp)
	movl	URGE_CONTEXT_MXCSR(%rsp), %eax
	movzwl	URGE_CONTEXT_FCW(%rsp), %r8d
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	xorl	URGE_CONTEXT_MXCSR(%rsp), %eax
	testl	$URGE_MXCSR_CONTROL, %eax
	jnz	.Lload_mxcsr
.Lmxcsr_done:
	cmpw	%r8w, URGE_CONTEXT_FCW(%rsp)
	jne	.Lload_fcw
.Lfcw_done:
	testq	%rdx, %rdx
	jz	.Lresume
	movq	%rcx, %rdi
	call	*%rdx
.Lresume:
	leaq	URGE_CONTROL_BYTES(%rsp), %rsp
	.cfi_adjust_cfa_offset -URGE_CONTROL_BYTES
	URGE_POP r15
	URGE_POP r14
	URGE_POP r13
	URGE_POP r12
	URGE_POP rbx
	URGE_POP rbp
	ret

	// Out of line: contexts with different control words.
	.cfi_def_cfa rsp, URGE_CONTEXT_BYTES
	.cfi_offset rbp, URGE_CONTEXT_RBP - URGE_CONTEXT_BYTES
	.cfi_offset rbx, URGE_CONTEXT_RBX - URGE_CONTEXT_BYTES
	.cfi_offset r12, URGE_CONTEXT_R12 - URGE_CONTEXT_BYTES
	.cfi_offset r13, URGE_CONTEXT_R13 - URGE_CONTEXT_BYTES
	.cfi_offset r14, URGE_CONTEXT_R14 - URGE_CONTEXT_BYTES
	.cfi_offset r15, URGE_CONTEXT_R15 - URGE_CONTEXT_BYTES
.Lload_mxcsr:
	ldmxcsr	URGE_CONTEXT_MXCSR(%rsp)
	jmp	.Lmxcsr_done
.Lload_fcw:
	fldcw	URGE_CONTEXT_FCW(%rsp)
	jmp	.Lfcw_done
URGE_END urge_switch

URGE_FILE_NOTES

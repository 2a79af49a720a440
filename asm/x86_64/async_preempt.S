// async_preempt.S: the call that the signal handler injects at an interrupted instruction. Go: asyncPreempt.
//
// 1. The handler sets RSP -= 128 (the SysV red zone), pushes the interrupted PC and sets RIP to urge_async_preempt.
//    sigreturn then enters here with every register and flag still the interrupted code's.
// 2. Flags are saved first, then DF is cleared, then all general registers, then the extended state, as far as
//    XCR0 enables it, PKRU excepted.
// 3. The state is made what the ABI promises to C++: DF, TF and AC clear, x87 empty, control words default, the
//    upper halves of the vector registers clean, AMX tiles released.
// 4. urge_async_preempt_park() switches the goroutine off. It returns when the goroutine goes on, perhaps on
//    another thread.
// 5. Everything is restored bit for bit, and `ret $128` gives back PC and red zone at once.
//
//      CFA = interrupted RSP ->  +----------------------+
//                                | red zone, untouched  |  128 bytes
//                       CFA-136  | interrupted PC       |
//                       CFA-144  | RFLAGS               |
//      RBP ->           CFA-152  | RBP                  |
//                       CFA-160  | RAX RCX RDX RBX RSI  |
//                                | RDI R8 … R15         |
//                       CFA-272  | scratch for MXCSR    |
//                                | padding to 64        |
//      RSP ->                    | XSAVE area           |  urge_xstate.size (+ tile_bytes while tiles are live)
//                                +----------------------+
//
// Invariants: the CFI is exact at each instruction, with the CFA on RBP once that is saved, so the whole interrupted
// register file can be unwound from any point. Nothing below RSP is ever relied on: a signal may come anywhere.
// The CFI names no rule for RFLAGS, because libunwind gives up on a frame that names a register beyond RIP.
// Signals that come in here are not preempted again: this text belongs to the runtime.
//
// AMX: permission for tile data may be granted at any time. Therefore it is never asked for: XGETBV(1) says
// whether tiles are live right now, and only then are they saved. (XSAVEC's compacted form would otherwise reserve
// 8 KiB for them.) XRSTOR gets the full mask in both cases, which puts unsaved tiles into their initial state.
//
// Rejected: saving only what the psABI calls caller-saved (cheaper by five pushes, but a dump of a preempted
// goroutine then lacks registers); XSAVEOPT (its "modified" optimisation is tied to the last XRSTOR's address,
// which stacks reuse); restoring through rt_sigreturn (a syscall, and a second copy of the state).
// Not handled: a shadow stack (CET). The runtime refuses to start on one.

#include "asm/asm.h"

	URGE_RUNTIME_TEXT

// Saves one register below the frame pointer and states where it is.
.macro SAVE reg:req, cfa_offset:req
	pushq	%\reg
	.cfi_offset \reg, \cfa_offset
.endm

.macro RESTORE reg:req
	popq	%\reg
	.cfi_restore \reg
.endm

// void urge_async_preempt(void);   entered by sigreturn, never by call
//
//   push rflags; cld; push rbp; rbp = rsp; push all others;
//   if (rflags & (TF | AC)) rflags &= ~(TF | AC);
//   area = align_down(rsp - urge_xstate.size - (tiles live ? urge_xstate.tile_bytes : 0), 64);
//   zero area->header;
//   save extended state to area by urge_xstate.kind;
//   make the extended state the ABI's default;
//   urge_async_preempt_park();
//   restore all; rsp += 128; return;
//
// Clobbers: nothing at all.
URGE_FUNCTION urge_async_preempt, injected
	.cfi_def_cfa rsp, -URGE_PREEMPT_PC
	.cfi_offset URGE_DWARF_RIP, URGE_PREEMPT_PC
	pushfq
	.cfi_adjust_cfa_offset 8
	cld
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_offset rbp, URGE_PREEMPT_RBP
	movq	%rsp, %rbp
	.cfi_def_cfa rbp, -URGE_PREEMPT_RBP
	SAVE	rax, URGE_PREEMPT_RAX
	SAVE	rcx, URGE_PREEMPT_RCX
	SAVE	rdx, URGE_PREEMPT_RDX
	SAVE	rbx, URGE_PREEMPT_RBX
	SAVE	rsi, URGE_PREEMPT_RSI
	SAVE	rdi, URGE_PREEMPT_RDI
	SAVE	r8, URGE_PREEMPT_R8
	SAVE	r9, URGE_PREEMPT_R9
	SAVE	r10, URGE_PREEMPT_R10
	SAVE	r11, URGE_PREEMPT_R11
	SAVE	r12, URGE_PREEMPT_R12
	SAVE	r13, URGE_PREEMPT_R13
	SAVE	r14, URGE_PREEMPT_R14
	SAVE	r15, URGE_PREEMPT_R15

	testl	$(URGE_EFLAGS_TF | URGE_EFLAGS_AC), (URGE_PREEMPT_RFLAGS - URGE_PREEMPT_RBP)(%rbp)
	jnz	.Lclear_flags
.Lflags_clear:

	// r9d = low half of the components to save, r8d = bytes of the area.
	movl	urge_xstate+URGE_XSTATE_SIZE(%rip), %r8d
	movl	urge_xstate+URGE_XSTATE_MASK(%rip), %r9d
	testl	$URGE_XFEATURE_TILE_DATA, %r9d
	jnz	.Lmay_have_tiles
.Ltiles_known:

	leaq	(URGE_PREEMPT_MXCSR - URGE_PREEMPT_RBP)(%rbp), %rsp
	subq	%r8, %rsp
	andq	$-URGE_XSAVE_ALIGN, %rsp
	cmpl	$URGE_XSTATE_FXSAVE, urge_xstate+URGE_XSTATE_KIND(%rip)
	je	.Lfxsave

	// XSAVEC leaves most of the header unwritten and XSAVE even reads it; XRSTOR wants zeros there.
	xorl	%eax, %eax
	movq	%rax, (URGE_XSAVE_HEADER + 0)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 8)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 16)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 24)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 32)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 40)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 48)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 56)(%rsp)
	movl	%r9d, %eax
	movl	urge_xstate+URGE_XSTATE_MASK+4(%rip), %edx
	cmpl	$URGE_XSTATE_XSAVEC, urge_xstate+URGE_XSTATE_KIND(%rip)
	jne	.Lxsave
	xsavec64 (%rsp)
.Lxsaved:

	// The saved XSTATE_BV tells what is not in its initial state already.
	testl	$URGE_XFEATURE_X87, URGE_XSAVE_XSTATE_BV(%rsp)
	jz	.Lx87_default
	fninit
.Lx87_default:
	testl	$URGE_XFEATURE_AVX, URGE_XSAVE_XSTATE_BV(%rsp)
	jz	.Lupper_clean
	vzeroupper
.Lupper_clean:
	testl	$(URGE_XFEATURE_TILE_CFG | URGE_XFEATURE_TILE_DATA), URGE_XSAVE_XSTATE_BV(%rsp)
	jz	.Ltiles_released
	tilerelease
.Ltiles_released:
	stmxcsr	(URGE_PREEMPT_MXCSR - URGE_PREEMPT_RBP)(%rbp)
	movl	(URGE_PREEMPT_MXCSR - URGE_PREEMPT_RBP)(%rbp), %eax
	xorl	$URGE_MXCSR_DEFAULT, %eax
	testl	$URGE_MXCSR_CONTROL, %eax
	jz	.Lmxcsr_default
	ldmxcsr	.Lmxcsr_abi(%rip)
.Lmxcsr_default:

	call	urge_async_preempt_park

	cmpl	$URGE_XSTATE_FXSAVE, urge_xstate+URGE_XSTATE_KIND(%rip)
	je	.Lfxrstor
	movl	urge_xstate+URGE_XSTATE_MASK(%rip), %eax
	movl	urge_xstate+URGE_XSTATE_MASK+4(%rip), %edx
	xrstor64 (%rsp)
.Lextended_restored:
	leaq	(URGE_PREEMPT_R15 - URGE_PREEMPT_RBP)(%rbp), %rsp
	RESTORE	r15
	RESTORE	r14
	RESTORE	r13
	RESTORE	r12
	RESTORE	r11
	RESTORE	r10
	RESTORE	r9
	RESTORE	r8
	RESTORE	rdi
	RESTORE	rsi
	RESTORE	rbx
	RESTORE	rdx
	RESTORE	rcx
	RESTORE	rax
	popq	%rbp
	.cfi_def_cfa rsp, -URGE_PREEMPT_RFLAGS
	.cfi_restore rbp
	popfq
	.cfi_def_cfa_offset -URGE_PREEMPT_PC
	ret	$URGE_RED_ZONE_BYTES

	// Out of line. The whole register file is saved on each of these paths.
	.cfi_def_cfa rbp, -URGE_PREEMPT_RBP
	.cfi_offset rbp, URGE_PREEMPT_RBP
	.cfi_offset rax, URGE_PREEMPT_RAX
	.cfi_offset rcx, URGE_PREEMPT_RCX
	.cfi_offset rdx, URGE_PREEMPT_RDX
	.cfi_offset rbx, URGE_PREEMPT_RBX
	.cfi_offset rsi, URGE_PREEMPT_RSI
	.cfi_offset rdi, URGE_PREEMPT_RDI
	.cfi_offset r8, URGE_PREEMPT_R8
	.cfi_offset r9, URGE_PREEMPT_R9
	.cfi_offset r10, URGE_PREEMPT_R10
	.cfi_offset r11, URGE_PREEMPT_R11
	.cfi_offset r12, URGE_PREEMPT_R12
	.cfi_offset r13, URGE_PREEMPT_R13
	.cfi_offset r14, URGE_PREEMPT_R14
	.cfi_offset r15, URGE_PREEMPT_R15

	// TF would single-step the runtime and every goroutine after this one; AC would fault on unaligned accesses.
.Lclear_flags:
	pushfq
	andl	$~(URGE_EFLAGS_TF | URGE_EFLAGS_AC), (%rsp)
	popfq
	jmp	.Lflags_clear

.Lmay_have_tiles:
	movl	$1, %ecx
	xgetbv
	testl	$URGE_XFEATURE_TILE_DATA, %eax
	jnz	.Ltiles_live
	andl	$~URGE_XFEATURE_TILE_DATA, %r9d
	jmp	.Ltiles_known
.Ltiles_live:
	addl	urge_xstate+URGE_XSTATE_TILE_BYTES(%rip), %r8d
	jmp	.Ltiles_known

.Lxsave:
	xsave64	(%rsp)
	jmp	.Lxsaved

	// Without XSAVE there is nothing beyond x87 and SSE to clean.
.Lfxsave:
	fxsave64 (%rsp)
	fninit
	jmp	.Ltiles_released

.Lfxrstor:
	fxrstor64 (%rsp)
	jmp	.Lextended_restored
URGE_END urge_async_preempt

	.hidden urge_async_preempt_park
	.hidden urge_xstate

	.section .rodata.cst4, "aM", @progbits, 4
	.p2align 2
.Lmxcsr_abi:
	.long	URGE_MXCSR_DEFAULT

URGE_FILE_NOTES

// harness.S: the two places where the single-step proof touches the machine directly.

#include "asm/asm.h"
#include "tests/prove/layout.h"

	.text

// uint64_t prove_call(uint64_t (*routine)(void*) /*rdi*/, void* argument /*rsi*/)
//
//   set TF; result = routine(argument); clear TF; return result;
URGE_FUNCTION prove_call, ordinary
	URGE_PUSH rbp
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	.irp	r, rbx, r12, r13, r14, r15
	pushq	%\r
	.endr
	.cfi_offset rbx, -24
	.cfi_offset r12, -32
	.cfi_offset r13, -40
	.cfi_offset r14, -48
	.cfi_offset r15, -56
	leaq	-8(%rsp), %rsp
	movl	$(PROVE_CALLEE_SAVED + 3), %ebx
	movl	$(PROVE_CALLEE_SAVED + 12), %r12d
	movl	$(PROVE_CALLEE_SAVED + 13), %r13d
	movl	$(PROVE_CALLEE_SAVED + 14), %r14d
	movl	$(PROVE_CALLEE_SAVED + 15), %r15d
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rbp, prove_stub_rbp(%rip)
	pushfq
	orq	$URGE_EFLAGS_TF, (%rsp)
	popfq
	call	*%rax
	.globl	prove_call_return
	.hidden	prove_call_return
prove_call_return:
	pushfq
	andq	$~URGE_EFLAGS_TF, (%rsp)
	popfq
	// A routine that lost a callee-saved register fails here, by its digest.
	.irp	r, rbx, r12, r13, r14, r15
	addq	%\r, %rax
	.endr
	subq	$(5 * PROVE_CALLEE_SAVED + 3 + 12 + 13 + 14 + 15), %rax
	leaq	8(%rsp), %rsp
	.irp	r, r15, r14, r13, r12, rbx
	popq	%\r
	.cfi_restore \r
	.endr
	leave
	.cfi_def_cfa rsp, 8
	.cfi_restore rbp
	ret
URGE_END prove_call

// void urge_async_preempt_park(void): the test double. Checks the walk, then ruins all that a callee may ruin and
// more: every general register except RBP and RSP, the flags with DF, the vector, mask and x87 registers, the control
// words, the tiles.
URGE_FUNCTION urge_async_preempt_park, ordinary
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	prove_park_check
	movl	prove_ruin(%rip), %eax
	testl	$PROVE_RUIN_AVX512, %eax
	jz	1f
	vpcmpeqd %ymm0, %ymm0, %ymm0
	vpternlogd $0xff, %zmm0, %zmm0, %zmm0
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vmovdqa64 %zmm0, %zmm\n
	.endr
	.irp	n, 0,1,2,3,4,5,6,7
	kxnorq	%k\n, %k\n, %k\n
	.endr
	jmp	3f
1:	testl	$PROVE_RUIN_AVX, %eax
	jz	2f
	vpcmpeqd %xmm0, %xmm0, %xmm0
	vinsertf128 $1, %xmm0, %ymm0, %ymm0
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovaps	%ymm0, %ymm\n
	.endr
	jmp	3f
2:	pcmpeqd	%xmm0, %xmm0
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movaps	%xmm0, %xmm\n
	.endr
3:	testl	$PROVE_RUIN_TILES, %eax
	jz	4f
	ldtilecfg prove_other_tiles(%rip)
	tilezero %tmm0
4:	fninit
	fldpi
	fldpi
	fldpi
	fldcw	prove_bad_fcw(%rip)
	ldmxcsr	prove_bad_mxcsr(%rip)
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	pushq	prove_bad_rflags(%rip)
	.cfi_adjust_cfa_offset 8
	.irp	r, rax, rbx, rcx, rdx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	movabsq	$0xbadbadbadbadbad, %\r
	.endr
	popfq
	.cfi_adjust_cfa_offset -8
	ret
URGE_END urge_async_preempt_park

	.data
	.p2align 3
	.globl	prove_bad_rflags, prove_ruin, prove_stub_rbp
prove_bad_rflags:
	.quad	PROVE_BAD_RFLAGS
prove_stub_rbp:
	.quad	0
prove_ruin:
	.long	0
prove_bad_mxcsr:
	.long	0xffbf & ~0x1f | 0x1f80
prove_bad_fcw:
	.word	0x0c7f
	.p2align 6
prove_other_tiles:
	.byte	1, 0
	.zero	14
	.word	8
	.zero	30
	.byte	2
	.zero	15

URGE_FILE_NOTES

// corpus.S: routines whose every instruction boundary is a hard place to be preempted.
//
// Each is `uint64_t f(void* scratch)` with exact CFI, and returns a digest of all it computed. scratch: 4 KiB,
// 64-byte aligned, the same contents at each start.

#include "asm/asm.h"
#include "tests/prove/layout.h"

	.text

// A leaf whose only stack is its red zone, all 128 bytes of it.
URGE_FUNCTION corpus_red_zone, ordinary
	xorl	%eax, %eax
	movl	$3, %ecx
1:	.irp	o, -8,-16,-24,-32,-40,-48,-56,-64,-72,-80,-88,-96,-104,-112,-120,-128
	leaq	\o(%rcx,%rcx,8), %rdx
	movq	%rdx, \o(%rsp)
	.endr
	.irp	o, -8,-16,-24,-32,-40,-48,-56,-64,-72,-80,-88,-96,-104,-112,-120,-128
	imulq	$31, %rax, %rax
	addq	\o(%rsp), %rax
	.endr
	decl	%ecx
	jnz	1b
	ret
URGE_END corpus_red_zone

// Every general register holds a value of its own, RBP included.
URGE_FUNCTION corpus_all_registers, ordinary
	.irp	r, rbx, rbp, r12, r13, r14, r15
	URGE_PUSH \r
	.endr
	movl	$1, %eax
	.irp	r, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	imulq	$0x10dcd, %rax, %rax
	incq	%rax
	movq	%rax, %\r
	.endr
	.rept	4
	.irp	r, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	rolq	$7, %\r
	xorq	%\r, %rax
	.endr
	.endr
	.irp	r, r15, r14, r13, r12, rbp, rbx
	URGE_POP \r
	.endr
	ret
URGE_END corpus_all_registers

// Backward string moves: DF is set over many boundaries, also within a repeated instruction.
URGE_FUNCTION corpus_direction, ordinary
	movq	%rdi, %r8
	leaq	63(%r8), %rsi
	leaq	191(%r8), %rdi
	movl	$64, %ecx
	std
	rep movsb
	leaq	120(%r8), %rdi
	movl	$9, %ecx
	movl	$0x5a5a, %eax
	rep stosq
	movl	$0, %eax
	leaq	191(%r8), %rsi
	movl	$100, %ecx
	xorl	%edx, %edx
1:	lodsb
	imulq	$131, %rdx, %rdx
	addq	%rax, %rdx
	loop	1b
	cld
	movq	%rdx, %rax
	ret
URGE_END corpus_direction

// Multi-word addition: the carry lives only in the flags.
URGE_FUNCTION corpus_carry, ordinary
	xorl	%eax, %eax
	movl	$16, %ecx
	xorl	%edx, %edx
	movabsq	$0x8000000080000001, %r8
	movq	%r8, %r9
	movq	%r8, %r10
	movq	%r8, %r11
	clc
1:	adcq	%r8, %r9
	adcq	%r9, %r10
	adcq	%r10, %r11
	adcq	%r11, %r8
	adcq	%r8, %rax
	rclq	$1, %rdx
	leaq	-1(%rcx), %rcx
	jrcxz	2f
	jmp	1b
2:	stc
	sbbq	%rdx, %rax
	setp	%cl
	seto	%ch
	cmc
	adcq	%rcx, %rax
	ret
URGE_END corpus_carry

// Pushes, pops, calls, frames, saved flags.
URGE_FUNCTION corpus_stack, ordinary
	URGE_PUSH rbx
	movl	$7, %ebx
	URGE_PUSH rbp
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	.rept	6
	pushq	%rbx
	imulq	$77, %rbx, %rbx
	.endr
	addq	$1, %rbx		// imul leaves flags undefined, and they do differ
	stc
	pushfq
	clc
	popq	%rax
	andl	$0x8d5, %eax
	.rept	6
	popq	%rdx
	imulq	$33, %rax, %rax
	addq	%rdx, %rax
	.endr
	pushq	%rax
	call	1f
	popq	%rdx
	addq	%rdx, %rax
	leave
	.cfi_def_cfa rsp, 16
	.cfi_restore rbp
	URGE_POP rbx
	ret
	.cfi_endproc
	.cfi_startproc
1:	pushq	$5
	.cfi_adjust_cfa_offset 8
	addq	(%rsp), %rax
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	ret
URGE_END corpus_stack

// A stack pointer that is not even aligned to two.
URGE_FUNCTION corpus_odd_stack, ordinary
	movq	%rsp, %rdx
	.cfi_def_cfa_register rdx
	leaq	-77(%rsp), %rsp
	pushq	$0x1234
	movq	$0x77, -8(%rsp)
	popq	%rax
	addq	-16(%rsp), %rax
	movq	%rdx, %rsp
	.cfi_def_cfa_register rsp
	ret
URGE_END corpus_odd_stack

// Alignment checks on: the runtime must not run with them.
URGE_FUNCTION corpus_alignment_check, ordinary
	pushfq
	.cfi_adjust_cfa_offset 8
	orl	$URGE_EFLAGS_AC, (%rsp)
	popfq
	.cfi_adjust_cfa_offset -8
	movl	$5, %eax
	movq	%rax, -8(%rsp)
	addq	-8(%rsp), %rax
	pushfq
	.cfi_adjust_cfa_offset 8
	movl	(%rsp), %edx
	andl	$URGE_EFLAGS_AC, %edx
	addq	%rdx, %rax
	andl	$~URGE_EFLAGS_AC, (%rsp)
	popfq
	.cfi_adjust_cfa_offset -8
	ret
URGE_END corpus_alignment_check

// A full x87 stack, a precision and rounding of its own, then a sticky exception.
URGE_FUNCTION corpus_x87, ordinary
	fnstcw	-16(%rsp)
	movw	$0x0e7f, -24(%rsp)
	fldcw	-24(%rsp)
	fldpi
	fldl2t
	fldl2e
	fldlg2
	fldln2
	fld1
	fldpi
	fld1
	fadd	%st(1), %st
	fmul	%st(2), %st
	fdiv	%st(3), %st
	fxch	%st(4)
	fsqrt
	faddp
	fmulp
	faddp
	fsubrp
	fdivp
	faddp
	fmulp
	fstpt	-48(%rsp)
	fldz
	fld1
	fdivp
	fstp	%st(0)
	fnstsw	%ax
	movzwl	%ax, %eax
	addq	-48(%rsp), %rax
	fninit
	fldcw	-16(%rsp)
	ret
URGE_END corpus_x87

// MMX registers, which are the x87 ones with tags set.
URGE_FUNCTION corpus_mmx, ordinary
	movl	$0x01020304, %eax
	movd	%eax, %mm0
	.irp	n, 1,2,3,4,5,6,7
	movq	%mm0, %mm\n
	paddb	%mm\n, %mm0
	.endr
	.irp	n, 1,2,3,4,5,6,7
	pxor	%mm\n, %mm0
	.endr
	movq	%mm0, %rax
	emms
	ret
URGE_END corpus_mmx

// Sums under each rounding mode and flush-to-zero, then the sticky bits.
URGE_FUNCTION corpus_mxcsr, ordinary
	stmxcsr	-4(%rsp)
	xorl	%eax, %eax
	movl	$3, %ecx
	movsd	.Ltenth(%rip), %xmm1
1:	movl	%ecx, %edx
	shll	$13, %edx
	orl	$0x9fc0, %edx
	movl	%edx, -8(%rsp)
	ldmxcsr	-8(%rsp)
	movapd	%xmm1, %xmm0
	.rept	5
	addsd	%xmm1, %xmm0
	mulsd	%xmm0, %xmm0
	cvtsd2si %xmm0, %rdx
	addq	%rdx, %rax
	.endr
	movq	%xmm0, %rdx
	rolq	$9, %rax
	xorq	%rdx, %rax
	stmxcsr	-8(%rsp)
	movl	-8(%rsp), %edx
	addq	%rdx, %rax
	decl	%ecx
	jns	1b
	ldmxcsr	-4(%rsp)
	ret
URGE_END corpus_mxcsr

URGE_FUNCTION corpus_sse, ordinary
	movdqa	(%rdi), %xmm0
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movdqa	16*\n(%rdi), %xmm\n
	paddq	%xmm\n, %xmm0
	.endr
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	pxor	%xmm\n, %xmm0
	psrlq	$1, %xmm\n
	paddb	%xmm\n, %xmm0
	.endr
	movq	%xmm0, %rax
	ret
URGE_END corpus_sse

URGE_FUNCTION corpus_avx2, ordinary
	vmovdqa	(%rdi), %ymm0
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovdqa	32*\n(%rdi), %ymm\n
	vpaddq	%ymm\n, %ymm0, %ymm0
	.endr
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vpxor	%ymm\n, %ymm0, %ymm0
	vpermq	$0x39, %ymm0, %ymm0
	vpaddb	%ymm\n, %ymm0, %ymm0
	.endr
	vextracti128 $1, %ymm0, %xmm1
	vpaddq	%xmm1, %xmm0, %xmm0
	vmovq	%xmm0, %rax
	vzeroupper
	ret
URGE_END corpus_avx2

// All 32 ZMM registers and all eight masks.
URGE_FUNCTION corpus_avx512, ordinary
	vmovdqa64 (%rdi), %zmm0
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vmovdqa64 64*\n(%rdi), %zmm\n
	.endr
	movabsq	$0x9e3779b97f4a7c15, %rax
	.irp	n, 0,1,2,3,4,5,6,7
	rolq	$11, %rax
	kmovq	%rax, %k\n
	.endr
	.irp	n, 1,2,3,4,5,6,7
	vpaddb	%zmm1\n, %zmm2\n, %zmm0 {%k\n}
	vpxorq	%zmm\n, %zmm0, %zmm0
	kxorq	%k0, %k\n, %k0
	.endr
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vpermq	%zmm\n, %zmm0, %zmm0
	vpaddq	%zmm\n, %zmm0, %zmm0
	.endr
	vextracti64x4 $1, %zmm0, %ymm1
	vpaddq	%ymm1, %ymm0, %ymm0
	vextracti128 $1, %ymm0, %xmm1
	vpaddq	%xmm1, %xmm0, %xmm0
	vmovq	%xmm0, %rax
	kmovq	%k0, %rdx
	xorq	%rdx, %rax
	vzeroupper
	ret
URGE_END corpus_avx512

// Configured and loaded AMX tiles.
URGE_FUNCTION corpus_amx, ordinary
	movl	$64, %edx
	ldtilecfg .Ltiles(%rip)
	tileloadd (%rdi,%rdx), %tmm0
	tileloadd 256(%rdi,%rdx), %tmm1
	tilezero %tmm2
	tdpbssd	%tmm0, %tmm1, %tmm2
	tdpbssd	%tmm1, %tmm0, %tmm2
	tilestored %tmm2, 2048(%rdi,%rdx)
	xorl	%eax, %eax
	movl	$7, %ecx
1:	imulq	$31, %rax, %rax
	addq	2112(%rdi,%rcx,8), %rax
	decl	%ecx
	jns	1b
	tilerelease
	ret
URGE_END corpus_amx

// urge_switch called with nothing of the caller's saved anywhere but in its own frame: a walk that loses a register
// shows. `after` runs on both sides.
URGE_FUNCTION corpus_bare_switch, ordinary
	leaq	-8(%rsp), %rsp
	.cfi_adjust_cfa_offset 8
	call	corpus_prepare_bare
	.rept	3
	leaq	corpus_bare_sp(%rip), %rdi
	movq	corpus_bare_sp+8(%rip), %rsi
	leaq	corpus_published(%rip), %rdx
	leaq	corpus_bare_sp(%rip), %rcx
	call	urge_switch
	.endr
	movl	$1, %eax
	leaq	8(%rsp), %rsp
	.cfi_adjust_cfa_offset -8
	ret
URGE_END corpus_bare_switch

// Its partner; never returns. It holds values of its own in the callee-saved registers.
URGE_FUNCTION corpus_bare_body, ordinary
	leaq	-8(%rsp), %rsp
	.cfi_adjust_cfa_offset 8
1:	leaq	corpus_bare_sp+8(%rip), %rdi
	movq	corpus_bare_sp(%rip), %rsi
	leaq	corpus_published(%rip), %rdx
	xorl	%ecx, %ecx
	call	urge_switch
	jmp	1b
URGE_END corpus_bare_body

	.section .rodata
	.p2align 6
.Ltiles:
	.byte	1, 0
	.zero	14
	.word	64, 64, 64
	.zero	26
	.byte	16, 16, 16
	.zero	13
.Ltenth:
	.double	0.1

URGE_FILE_NOTES

// morestack.S: the slow path of every -fsplit-stack prologue. Static archive liburge_split.a, linked into each
// instrumented module with hidden symbols. Go: morestack.
//
// The compilers emit (gcc and clang alike)
//
//         cmp   %fs:0x70, %rsp          large frames: lea -frame(%rsp), %r11; cmp %fs:0x70, %r11
//         jb    slow
//   body: …
//   slow: mov   $frame_size, %r10
//         mov   $arg_size, %r11         bytes of stack arguments
//         call  __morestack
//         ret                           one byte; where a callee run on a new segment would return
//         [mov  %rax, %r10]             in nested functions, whose static chain waits in rax over the call
//         [lea  24(%rbp), %r11]         where va_start is used: rbp is taken to be __morestack's frame
//         jmp   body
//
// 1. __morestack saves every argument register, the vector ones in full width, and calls urge_newstack.
// 2. NULL means: go on where you are. The routine returns to the byte after the `ret`; behind the `lea` if there is
//    one, with r11 = the address of the stack arguments, since rbp is then still the caller's.
// 3. Otherwise the answer is the top of a new segment: the stack arguments are copied there, the body is called on it,
//    urge_oldstack is told when it has returned or thrown, and control goes to the caller's caller.
//
// Invariants: red zones do not matter here (the caller just executed a call). The stack used is at most
// URGE_MORESTACK_STACK_BYTES plus what urge_newstack needs; the guard lies that far above the end of the stack.
// Nothing leaves through a lazy PLT slot: its resolver destroys r10, r11 and wide vector arguments.
// Where no urge is linked, urge_newstack is an undefined weak symbol and the routine passes through.
//
// The library fails to link next to libgcc's own morestack: both define __morestack, and whatever pulls in libgcc's
// (__morestack_get_guard, __splitstack_*) is deliberately not defined here.
//
// Rejected: one copy in a shared library (the PLT, above); reading the runtime's xstate description through a
// symbol (the archive would then not stand alone in a module that is linked before urge).
// Not handled: the large code model (__morestack_large_model is libgcc's, so the link fails loudly).

#include "asm/asm.h"

	.text

// Components that the area of the running frame holds: eax = mask. Clobbers rcx, rdx.
// Saves the vector state to the area at RSP by the kind found once by CPUID.
.macro SAVE_VECTORS mask:req
	xorl	%eax, %eax
	movq	%rax, (URGE_XSAVE_HEADER + 0)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 8)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 16)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 24)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 32)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 40)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 48)(%rsp)
	movq	%rax, (URGE_XSAVE_HEADER + 56)(%rsp)
	xorl	%edx, %edx
	movl	$\mask, %eax
	movl	urge_split_xsave_kind(%rip), %ecx
	cmpl	$URGE_XSTATE_XSAVE, %ecx
	je	.Lxsave\@
	jb	.Lfxsave\@
	xsavec64 (%rsp)
	jmp	.Lsaved\@
.Lxsave\@:
	xsave64	(%rsp)
	jmp	.Lsaved\@
.Lfxsave\@:
	fxsave64 (%rsp)
.Lsaved\@:
.endm

// Clobbers rax, rcx, rdx.
.macro RESTORE_VECTORS mask:req
	xorl	%edx, %edx
	movl	$\mask, %eax
	cmpl	$URGE_XSTATE_FXSAVE, urge_split_xsave_kind(%rip)
	je	.Lfxrstor\@
	xrstor64 (%rsp)
	jmp	.Lrestored\@
.Lfxrstor\@:
	fxrstor64 (%rsp)
.Lrestored\@:
.endm

// Puts RSP at an aligned vector area below the frame.
.macro OPEN_VECTOR_AREA
	leaq	-(URGE_MORESTACK_FRAME_BYTES + URGE_MORESTACK_XSAVE_BYTES)(%rbp), %rsp
	andq	$-URGE_XSAVE_ALIGN, %rsp
.endm

// void __morestack(void);   a convention of its own
//   r10 = frame_size, r11 = arg_size; every argument register, rax included, is live
//   rsp -> return_pc, the caller's caller's PC, stack arguments
//
//   if (!urge_newstack) resume in place;
//   args = {rsp + 8, return_pc, r10, r11, rdtsc()};
//   save argument registers;
//   top = urge_newstack(&args);
//   restore argument registers;
//   if (!top) resume in place;
//   rsp = align_down(top - arg_size, 16); copy stack arguments;
//   call return_pc + 1;                 // the body, with rbp = this frame, as va_start functions expect
//   rsp = back on the old stack;
//   save results; urge_oldstack(); restore results;
//   return to the caller's caller;
//
// Clobbers: r10, r11, flags.
//
// Two CFAs. While the routine works for the prologue, its caller is the instrumented function. Once the body
// runs on a new segment, this frame stands in for the function's own entry: its CFA is the function's, its return
// address the caller's caller's. A backtrace then shows the function once, and no personality ever sees
// the prologue's call.
URGE_FUNCTION __morestack, ordinary
	.cfi_personality 0x9b, DW.ref.__gcc_personality_v0
	.cfi_lsda 0x1b, .Llsda
	URGE_PUSH rbp
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	pushq	%rax
	movq	urge_newstack@GOTPCREL(%rip), %rax
	testq	%rax, %rax
	jz	.Lno_runtime
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%r8
	pushq	%r9
	movq	%rax, %rcx
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	pushq	%rax
	pushq	%r11
	pushq	%r10
	pushq	URGE_MORESTACK_RETURN_PC(%rbp)
	leaq	URGE_MORESTACK_CALLER_PC(%rbp), %rdi
	pushq	%rdi
	pushq	%rcx
	cmpl	$0, urge_split_xsave_kind(%rip)
	jl	.Lfind_xsave_kind
.Lxsave_kind_known:
	OPEN_VECTOR_AREA
	SAVE_VECTORS URGE_MORESTACK_ARG_MASK
	leaq	URGE_MORESTACK_ARGS(%rbp), %rdi
	call	*URGE_MORESTACK_NEWSTACK(%rbp)
	movq	%rax, %r10
	RESTORE_VECTORS URGE_MORESTACK_ARG_MASK
	testq	%r10, %r10
	jnz	.Lnew_segment

	movq	URGE_MORESTACK_RDI(%rbp), %rdi
	movq	URGE_MORESTACK_RSI(%rbp), %rsi
	movq	URGE_MORESTACK_RDX(%rbp), %rdx
	movq	URGE_MORESTACK_RCX(%rbp), %rcx
	movq	URGE_MORESTACK_R8(%rbp), %r8
	movq	URGE_MORESTACK_R9(%rbp), %r9
.Lno_runtime:
	movq	URGE_MORESTACK_RAX(%rbp), %rax
	leave
	.cfi_def_cfa rsp, 8
	.cfi_restore rbp
	jmp	.Lresume_in_place

	// Once per module: CPUID takes rbx, which is not ours.
	.cfi_def_cfa rbp, 16
	.cfi_offset rbp, -16
.Lfind_xsave_kind:
	pushq	%rbx
	.cfi_offset rbx, URGE_MORESTACK_RBX - 16
	call	.Lcpuid_xsave_kind
	popq	%rbx
	.cfi_restore rbx
	jmp	.Lxsave_kind_known

	// The body on a new segment; r10 = its top. Here the frame becomes the function's own.
.Lnew_segment:
	.cfi_def_cfa rbp, URGE_MORESTACK_STACK_ARGS
	.cfi_offset rbp, -URGE_MORESTACK_STACK_ARGS
	movq	(URGE_MORESTACK_ARGS + URGE_MORESTACK_ARGS_ARG_SIZE)(%rbp), %rcx
	subq	%rcx, %r10
	andq	$-16, %r10
	movq	%r10, %rdi
	leaq	URGE_MORESTACK_STACK_ARGS(%rbp), %rsi
	rep movsb
	movq	%r10, %rsp
	movq	URGE_MORESTACK_RETURN_PC(%rbp), %r10
	incq	%r10
	movq	URGE_MORESTACK_RDI(%rbp), %rdi
	movq	URGE_MORESTACK_RSI(%rbp), %rsi
	movq	URGE_MORESTACK_RDX(%rbp), %rdx
	movq	URGE_MORESTACK_RCX(%rbp), %rcx
	movq	URGE_MORESTACK_R8(%rbp), %r8
	movq	URGE_MORESTACK_R9(%rbp), %r9
	movq	URGE_MORESTACK_RAX(%rbp), %rax
.Lbody_begin:
	call	*%r10
.Lbody_end:
	movq	%rax, URGE_MORESTACK_RAX(%rbp)
	movq	%rdx, URGE_MORESTACK_RDX(%rbp)
	OPEN_VECTOR_AREA
	SAVE_VECTORS URGE_MORESTACK_RESULT_MASK
	call	*urge_oldstack@GOTPCREL(%rip)
	RESTORE_VECTORS URGE_MORESTACK_RESULT_MASK
	movq	URGE_MORESTACK_RAX(%rbp), %rax
	movq	URGE_MORESTACK_RDX(%rbp), %rdx
	leave
	.cfi_def_cfa rsp, URGE_MORESTACK_CALLER_PC
	.cfi_restore rbp
	leaq	8(%rsp), %rsp
	.cfi_def_cfa_offset 8
	ret

	// An exception leaves the body: rax = the unwinder's object. The segment is given back, then it goes on.
	.cfi_def_cfa rbp, URGE_MORESTACK_STACK_ARGS
	.cfi_offset rbp, -URGE_MORESTACK_STACK_ARGS
.Llanding_pad:
	movq	%rax, URGE_MORESTACK_RAX(%rbp)
	OPEN_VECTOR_AREA
	call	*urge_oldstack@GOTPCREL(%rip)
	movq	URGE_MORESTACK_RAX(%rbp), %rdi
	call	*_Unwind_Resume@GOTPCREL(%rip)
	ud2
URGE_END __morestack

// void __morestack_non_split(void);   as __morestack
//
// gold and lld send functions that call uninstrumented code here on every call, having removed the compare, so it is
// done here. (Uninstrumented code finds its room below the guard: the larger frame that these linkers ask for is
// not needed.)
//
//   if (rsp_at_entry - r10 < guard) __morestack(); else resume in place;
URGE_FUNCTION __morestack_non_split, ordinary
	URGE_PUSH rax
	leaq	16(%rsp), %rax
	subq	%r10, %rax
	cmpq	%fs:URGE_GUARD_FS_OFFSET, %rax
	URGE_POP rax
	jb	__morestack
	// Falls through.

// Returns to the body of the function whose prologue called, on the same stack.
//   rsp -> return_pc; r10, r11 dead
//
//   pc = return_pc + 1;
//   if (*pc is `mov %rax, %r10; lea 24(%rbp), %r11`) r10 = rax, r11 = rsp_at_entry + 8, pc += 7;
//   else if (*pc is `lea 24(%rbp), %r11`) r11 = rsp_at_entry + 8, pc += 4;
//   return to pc;
//
// `ret`, not `jmp`: the return stack stays in step with the calls, so only this one return is mispredicted.
// The first byte is compared alone, because behind these two opcodes at least four bytes of code are certain.
.Lresume_in_place:
	movq	(%rsp), %r10
	incq	%r10
	cmpb	$(URGE_CODE_LEA_24_RBP_R11 & 0xff), (%r10)
	je	.Lmaybe_va_start
	cmpb	$(URGE_CODE_MOV_RAX_R10 & 0xff), (%r10)
	je	.Lmaybe_static_chain
.Lresume:
	movq	%r10, (%rsp)
	ret
.Lmaybe_va_start:
	cmpl	$URGE_CODE_LEA_24_RBP_R11, (%r10)
	jne	.Lresume
	leaq	16(%rsp), %r11
	addq	$4, %r10
	jmp	.Lresume
.Lmaybe_static_chain:
	cmpl	$(URGE_CODE_MOV_RAX_R10 | (URGE_CODE_LEA_24_RBP_R11 & 0xff) << 24), (%r10)
	jne	.Lresume
	cmpl	$URGE_CODE_LEA_24_RBP_R11, 3(%r10)
	jne	.Lresume
	leaq	16(%rsp), %r11
	addq	$7, %r10
	movq	%r10, (%rsp)
	movq	%rax, %r10
	ret
URGE_END __morestack_non_split

// void* __morestack_allocate_stack_space(size_t size /*rdi*/)
//
// alloca and variable-length arrays call this when size bytes below RSP would pass the guard, which under a mark is
// always. The result is the block itself; it lives until the function returns (or a block's scope restores RSP).
// The calling function has a frame pointer, so its RSP may be moved under it.
//
//   if (urge_stackspace && (block = urge_stackspace(size, rsp + 8))) return block;
//   rsp = align_down(rsp + 8 - size, 16) - URGE_ALLOCA_SLACK_BYTES;
//   return rsp + URGE_ALLOCA_SLACK_BYTES;   // to the same PC, with the lowered RSP
//
// The slack is for code tuned to keep its outgoing stack arguments at RSP (-maccumulate-outgoing-args, which
// -mtune=intel implies): it will write them over the bytes at the lowered RSP. Not handled: more of them than that.
//
// Clobbers: what any call may clobber; RSP.
URGE_FUNCTION __morestack_allocate_stack_space, ordinary
	movq	urge_stackspace@GOTPCREL(%rip), %rax
	testq	%rax, %rax
	jz	.Lextend
	URGE_PUSH rdi
	leaq	16(%rsp), %rsi
	call	*%rax
	URGE_POP rdi
	testq	%rax, %rax
	jz	.Lextend
	ret
.Lextend:
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register URGE_DWARF_RIP, rcx
	movq	%rsp, %rdx
	.cfi_def_cfa rdx, 0
	subq	%rdi, %rsp
	andq	$-16, %rsp
	movq	%rsp, %rax
	subq	$URGE_ALLOCA_SLACK_BYTES, %rsp
	pushq	%rcx
	ret
URGE_END __morestack_allocate_stack_space

// Finds how this processor saves vector state. Clobbers rax, rbx, rcx, rdx.
//
//   cpuid(1).ecx.OSXSAVE ? (cpuid(0xd, 1).eax.XSAVEC ? XSAVEC : XSAVE) : FXSAVE
	.type	urge_split_find_xsave_kind, @function
urge_split_find_xsave_kind:
	.cfi_startproc
.Lcpuid_xsave_kind:
	movl	$1, %eax
	cpuid
	movl	$URGE_XSTATE_FXSAVE, %edx
	btl	$URGE_CPUID_1_ECX_OSXSAVE_BIT, %ecx
	jnc	.Lkind_found
	movl	$URGE_CPUID_XSTATE_LEAF, %eax
	movl	$1, %ecx
	cpuid
	movl	$URGE_XSTATE_XSAVE, %edx
	btl	$URGE_CPUID_XSTATE_EAX_XSAVEC_BIT, %eax
	jnc	.Lkind_found
	movl	$URGE_XSTATE_XSAVEC, %edx
.Lkind_found:
	movl	%edx, urge_split_xsave_kind(%rip)
	ret
URGE_END urge_split_find_xsave_kind

	.weak	urge_newstack
	.weak	urge_oldstack
	.weak	urge_stackspace

	.data
	.p2align 2
	.type	urge_split_xsave_kind, @object
	.size	urge_split_xsave_kind, 4
urge_split_xsave_kind:
	.long	-1

// Never read: brings wrap_pthread.S along, before some later library's reference can find libgcc's wrapper.
	.section .rodata
	.p2align 2
	.long	__wrap_pthread_create - .
	.hidden	__wrap_pthread_create

// Call sites of __morestack: the body's call has the landing pad, the other calls have none.
	.section .gcc_except_table, "a", @progbits
	.p2align 2
.Llsda:
	.byte	0xff	// landing pads are relative to the function
	.byte	0xff	// no type table
	.byte	0x01	// call sites in uleb128
	.uleb128 .Lcall_sites_end - .Lcall_sites
.Lcall_sites:
	.uleb128 .Lbody_begin - __morestack
	.uleb128 .Lbody_end - .Lbody_begin
	.uleb128 .Llanding_pad - __morestack
	.uleb128 0
.Lcall_sites_end:

// The personality by way of a data word, so that read-only CFI needs no text relocation; every object has the same.
	.hidden	DW.ref.__gcc_personality_v0
	.weak	DW.ref.__gcc_personality_v0
	.section .data.rel.local.DW.ref.__gcc_personality_v0, "awG", @progbits, DW.ref.__gcc_personality_v0, comdat
	.p2align 3
	.type	DW.ref.__gcc_personality_v0, @object
	.size	DW.ref.__gcc_personality_v0, 8
DW.ref.__gcc_personality_v0:
	.quad	__gcc_personality_v0

URGE_FILE_NOTES

// asm.h: what every .S file of urge opens with.
//
// 1. URGE_FUNCTION name, kind … URGE_END name bracket each routine. They set alignment, ELF type,
// size and
//    visibility, and open the CFI of one of three kinds:
//      ordinary      called by `call`; CFA = RSP + 8, the return address below it.
//      injected      entered by rewriting RIP in a signal handler. A signal frame: unwinders look
//      up the exact
//                    PC, not PC - 1. The routine states its own CFA.
//      stack_bottom  nothing below it to unwind to: the return address is undefined, so every
//      unwinder stops
//                    here (an uncaught exception ends in std::terminate with the stack intact).
// 2. URGE_PUSH and URGE_POP keep the CFI true at every single instruction.
// 3. All symbols are hidden. A lazy PLT slot would destroy r10 and r11 and the vector arguments, so
// calls that
//    leave the module go through an eager GOT load instead.
//
// The macros are assembler macros, not cpp ones, so that each line of a routine keeps its own line
// number, and so that both gas and clang's integrated assembler take them.

// clang-format off

#ifndef URGE_ASM_ASM_H_
#define URGE_ASM_ASM_H_

#if !defined(__x86_64__)
#error "urge's assembly exists for x86-64 only"
#endif

#include "asm/offsets.h"

// DWARF's number of RIP, for which the assembler's CFI has no portable name.
#define URGE_DWARF_RIP 16

// The runtime's own text is one section, which the preemption map excludes as a whole.
.macro URGE_RUNTIME_TEXT
	.section urge_text, "ax", @progbits
.endm

.macro URGE_FUNCTION name:req, kind:req
	.globl \name
	.hidden \name
	.type \name, @function
	.p2align 5
\name:
	.cfi_startproc
	.ifc \kind, ordinary
	.else
	.ifc \kind, injected
	.cfi_signal_frame
	.else
	.ifc \kind, stack_bottom
	.cfi_undefined URGE_DWARF_RIP
	.else
	.error "unknown CFI kind"
	.endif
	.endif
	.endif
.endm

.macro URGE_END name:req
	.cfi_endproc
	.size \name, . - \name
.endm

// Push and pop while the CFA is stated relative to RSP.
.macro URGE_PUSH reg:req
	pushq %\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
.endm

.macro URGE_POP reg:req
	popq %\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
.endm

// Ends a file. The first note makes the stack non-executable; the pair of split-stack notes tells gold and lld
// that the file needs no prologue check and must not be treated as code that wants a large stack.
.macro URGE_FILE_NOTES
	.section .note.GNU-stack, "", @progbits
	.section .note.GNU-split-stack, "", @progbits
	.section .note.GNU-no-split-stack, "", @progbits
.endm

#endif  // URGE_ASM_ASM_H_

// Functions whose verdict thread_bound_test.cc knows. Each has one property and nothing else.

#include "asm/asm.h"

        .text

.macro FUNCTION name
        .globl  \name
        .type   \name, @function
\name:
        .cfi_startproc
.endm
.macro END name
        .cfi_endproc
        .size   \name, . - \name
.endm
// A call from an aligned stack, with true CFI.
.macro CALL_FROM_FRAME operand:vararg
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    \operand
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
.endm

FUNCTION code_leaf
        leaq    100(%rdi,%rsi,4), %rax          # 100 is the segment prefix's byte
        movl    $0x64646464, %ecx
        movq    0x28(%rax), %rdx                # no segment: an ordinary field
        ret
END code_leaf

FUNCTION code_canary
        movq    %fs:0x28, %rax
        xorq    %fs:0x28, %rax
        ret
END code_canary

FUNCTION code_guard
        cmpq    %fs:0x70, %rsp
        leaq    -4096(%rsp), %r11
        cmpq    %fs:0x70, %r11
        ret
END code_guard

FUNCTION code_thread_pointer
        movq    %fs:0, %rax
        ret
END code_thread_pointer

FUNCTION code_adds_thread_pointer
        movq    $-8, %rax
        addq    %fs:0, %rax
        ret
END code_adds_thread_pointer

FUNCTION code_self_pointer
        movq    %fs:0x10, %rax
        ret
END code_self_pointer

FUNCTION code_accumulator                       // the move with a 64-bit address
        .byte   0x64, 0x48, 0xa1
        .quad   0
        ret
END code_accumulator

FUNCTION code_narrow_load                       // a value, not an address
        movl    %fs:-16, %eax
        ret
END code_narrow_load

FUNCTION code_increments
        addq    $1, %fs:-16
        ret
END code_increments

FUNCTION code_offset_in_register                // as the initial-exec model
        movq    $-16, %rax
        movl    $1, %fs:(%rax)
        ret
END code_offset_in_register

FUNCTION code_canary_offset_by_register         // not the canary
        movq    %fs:0x28(%rax), %rax
        ret
END code_canary_offset_by_register

FUNCTION code_rdfsbase
        rdfsbase %rax
        ret
END code_rdfsbase

FUNCTION code_system_call
        movl    $186, %eax                      # gettid
        syscall
        ret
END code_system_call

FUNCTION code_undecodable
        .byte   0x06                            # push %es: not in long mode
        ret
END code_undecodable

FUNCTION code_calls_plt
        CALL_FROM_FRAME __tls_get_addr@PLT
        ret
END code_calls_plt

FUNCTION code_calls_errno_plt
        CALL_FROM_FRAME __errno_location@PLT
        ret
END code_calls_errno_plt

FUNCTION code_calls_got
        CALL_FROM_FRAME *pthread_self@GOTPCREL(%rip)
        ret
END code_calls_got

FUNCTION code_keeps_got                         // clang's -fno-plt in a loop
        movq    pthread_self@GOTPCREL(%rip), %rax
        CALL_FROM_FRAME *%rax
        ret
END code_keeps_got

FUNCTION code_calls_harmless_plt
        CALL_FROM_FRAME getppid@PLT
        ret
END code_calls_harmless_plt

FUNCTION code_calls_materialiser
        CALL_FROM_FRAME code_thread_pointer
        ret
END code_calls_materialiser

FUNCTION code_calls_errno_user                  // whose callee returns errno's address, for all we know
        CALL_FROM_FRAME code_calls_errno_plt
        ret
END code_calls_errno_user

FUNCTION code_calls_getter_of_word              // an address in a thread_local, perhaps
        CALL_FROM_FRAME code_getter_of_word
        ret
END code_calls_getter_of_word

FUNCTION code_getter_of_word
        movq    %fs:-24, %rax
        ret
END code_getter_of_word

FUNCTION code_calls_getter_of_value
        CALL_FROM_FRAME code_narrow_load
        CALL_FROM_FRAME code_increments
        CALL_FROM_FRAME code_leaf
        ret
END code_calls_getter_of_value

FUNCTION code_calls_caller                      // a callee's callee: not looked at
        CALL_FROM_FRAME code_calls_materialiser
        ret
END code_calls_caller

FUNCTION code_tail_calls_materialiser           // holds nothing itself, but yields
        jmp     code_thread_pointer
END code_tail_calls_materialiser

FUNCTION code_tail_calls_errno
        jmp     __errno_location@PLT
END code_tail_calls_errno

FUNCTION code_tail_calls_got
        jmp     *__errno_location@GOTPCREL(%rip)
END code_tail_calls_got

FUNCTION code_tail_calls_tail_caller
        testl   %edi, %edi
        je      code_tail_calls_errno
        ret
END code_tail_calls_tail_caller

FUNCTION code_calls_tail_caller
        CALL_FROM_FRAME code_tail_calls_tail_caller
        ret
END code_calls_tail_caller

FUNCTION code_calls_got_tail_caller
        CALL_FROM_FRAME code_tail_calls_got
        ret
END code_calls_got_tail_caller

FUNCTION code_even                              // tail calls in a circle, harmless
        testl   %edi, %edi
        jne     code_odd
        ret
END code_even

FUNCTION code_odd
        jmp     code_even
END code_odd

FUNCTION code_calls_circle
        CALL_FROM_FRAME code_even
        ret
END code_calls_circle

FUNCTION code_tail_calls_harmless_plt
        jmp     getppid@PLT
END code_tail_calls_harmless_plt

FUNCTION code_calls_harmless_tail_caller
        CALL_FROM_FRAME code_tail_calls_harmless_plt
        ret
END code_calls_harmless_tail_caller

FUNCTION code_calls_runtime
        CALL_FROM_FRAME urge_yield@PLT
        ret
END code_calls_runtime

// --- Functions in two parts, as compilers make them of unlikely blocks ---

FUNCTION code_hot                               // what is done is in the other part
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        testl   %edi, %edi
        jne     code_hot.cold
code_hot_back:
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        ret
END code_hot

FUNCTION code_hot_binding
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        movq    %fs:0, %rbx
        testl   %edi, %edi
        jne     code_binding.cold
code_hot_binding_back:
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        ret
END code_hot_binding

.macro COLD_FUNCTION name
        FUNCTION \name
        .cfi_def_cfa_offset 16
        .cfi_offset %rbx, -16
.endm

        COLD_FUNCTION code_hot.cold
        movq    %fs:0, %rax
        jmp     code_hot_back
END code_hot.cold

        COLD_FUNCTION code_binding.cold
        nop
        jmp     code_hot_binding_back
END code_binding.cold

        COLD_FUNCTION code_lost.cold            // whose other part nothing leads to
        ud2
END code_lost.cold

FUNCTION code_hot_harmless
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        testl   %edi, %edi
        jne     code_harmless.cold
code_hot_harmless_back:
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        ret
END code_hot_harmless

        COLD_FUNCTION code_harmless.cold
        nop
        jmp     code_hot_harmless_back
END code_harmless.cold

        .section .note.GNU-stack, "", @progbits

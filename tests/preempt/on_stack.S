// Assembly for the tests; see on_stack.h.
        .text
        .globl  test_call_on_stack
        .hidden test_call_on_stack
        .type   test_call_on_stack, @function
test_call_on_stack:
        .cfi_startproc
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        movq    %rsp, %rbx
        movq    %rdx, %rsp
        andq    $-16, %rsp
        .cfi_remember_state
        .cfi_undefined %rip             // the bottom of the new stack
        movq    %rdi, %rax
        movq    %rsi, %rdi
        call    *%rax
        movq    %rbx, %rsp
        .cfi_restore_state
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        ret
        .cfi_endproc
        .size   test_call_on_stack, . - test_call_on_stack

// The flags are changed on the stack, and the unwind data say so: each instruction is stepped through.
        .macro  FLAGS_FUNCTION name, instruction:vararg
        .globl  \name
        .hidden \name
        .type   \name, @function
\name:
        .cfi_startproc
        pushfq
        .cfi_adjust_cfa_offset 8
        \instruction
        popfq
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   \name, . - \name
        .endm

        FLAGS_FUNCTION test_set_trap_flag, orq $0x100, (%rsp)
        FLAGS_FUNCTION test_clear_trap_flag, andq $~0x100, (%rsp)

        .section .note.GNU-stack, "", @progbits

// Register canaries: each routine fills a class of registers from `in`, spins `spins` times without
// a call, and stores the registers to `out`.  Whoever is preempted in between and loses a bit shows.
//
// void storm_…(const void* in, void* out, std::uint64_t spins);   rdi, rsi, rdx

        .text

// 14 words: rax rbx rcx rdx rsi rdi rbp r8..r14; r15 counts.
        .globl  storm_general
        .type   storm_general, @function
storm_general:
        .cfi_startproc
        .irp    reg, rbx, rbp, r12, r13, r14, r15
        pushq   %\reg
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %\reg, 0
        .endr
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        subq    $112, %rsp
        .cfi_adjust_cfa_offset 112
        movq    %rdx, %r15
        movq    (%rdi), %rax
        movq    8(%rdi), %rbx
        movq    16(%rdi), %rcx
        movq    24(%rdi), %rdx
        movq    32(%rdi), %rsi
        movq    48(%rdi), %rbp
        movq    56(%rdi), %r8
        movq    64(%rdi), %r9
        movq    72(%rdi), %r10
        movq    80(%rdi), %r11
        movq    88(%rdi), %r12
        movq    96(%rdi), %r13
        movq    104(%rdi), %r14
        movq    40(%rdi), %rdi
1:      decq    %r15
        jnz     1b
        movq    %rax, (%rsp)
        movq    %rbx, 8(%rsp)
        movq    %rcx, 16(%rsp)
        movq    %rdx, 24(%rsp)
        movq    %rsi, 32(%rsp)
        movq    %rdi, 40(%rsp)
        movq    %rbp, 48(%rsp)
        movq    %r8, 56(%rsp)
        movq    %r9, 64(%rsp)
        movq    %r10, 72(%rsp)
        movq    %r11, 80(%rsp)
        movq    %r12, 88(%rsp)
        movq    %r13, 96(%rsp)
        movq    %r14, 104(%rsp)
        movq    112(%rsp), %rdi
        movq    %rsp, %rsi
        movl    $14, %ecx
        rep movsq
        addq    $120, %rsp
        .cfi_adjust_cfa_offset -120
        .irp    reg, r15, r14, r13, r12, rbp, rbx
        popq    %\reg
        .cfi_adjust_cfa_offset -8
        .cfi_restore %\reg
        .endr
        ret
        .cfi_endproc
        .size   storm_general, . - storm_general

// 16 words of red zone, and the flags (carry and direction set) as the 17th.
        .globl  storm_red_zone
        .type   storm_red_zone, @function
storm_red_zone:
        .cfi_startproc
        movq    %rdx, %rcx
        .set    at, 0
        .rept   16
        movq    at(%rdi), %rax
        movq    %rax, at-128(%rsp)
        .set    at, at+8
        .endr
        std
        stc
1:      leaq    -1(%rcx), %rcx
        jrcxz   2f
        jmp     1b
2:      .set    at, 0
        .rept   16
        movq    at-128(%rsp), %rax
        movq    %rax, at(%rsi)
        .set    at, at+8
        .endr
        pushfq
        .cfi_adjust_cfa_offset 8
        popq    %rax
        .cfi_adjust_cfa_offset -8
        cld
        andl    $0x401, %eax
        movq    %rax, 128(%rsi)
        ret
        .cfi_endproc
        .size   storm_red_zone, . - storm_red_zone

// 8 doubles on the x87 stack.
        .globl  storm_x87
        .type   storm_x87, @function
storm_x87:
        .cfi_startproc
        .set    at, 0
        .rept   8
        fldl    at(%rdi)
        .set    at, at+8
        .endr
1:      decq    %rdx
        jnz     1b
        .rept   8
        .set    at, at-8
        fstpl   at(%rsi)
        .endr
        ret
        .cfi_endproc
        .size   storm_x87, . - storm_x87

// 16 registers of 16 bytes.
        .globl  storm_sse
        .type   storm_sse, @function
storm_sse:
        .cfi_startproc
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movups  \i*16(%rdi), %xmm\i
        .endr
1:      decq    %rdx
        jnz     1b
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movups  %xmm\i, \i*16(%rsi)
        .endr
        ret
        .cfi_endproc
        .size   storm_sse, . - storm_sse

// 16 registers of 32 bytes.
        .globl  storm_avx
        .type   storm_avx, @function
storm_avx:
        .cfi_startproc
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovups  \i*32(%rdi), %ymm\i
        .endr
1:      decq    %rdx
        jnz     1b
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovups  %ymm\i, \i*32(%rsi)
        .endr
        vzeroupper
        ret
        .cfi_endproc
        .size   storm_avx, . - storm_avx

// 32 registers of 64 bytes, then k0 to k7.
        .globl  storm_avx512
        .type   storm_avx512, @function
storm_avx512:
        .cfi_startproc
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        vmovups  \i*64(%rdi), %zmm\i
        .endr
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7
        kmovq  2048+\i*8(%rdi), %k\i
        .endr
1:      decq    %rdx
        jnz     1b
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        vmovups  %zmm\i, \i*64(%rsi)
        .endr
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7
        kmovq  %k\i, 2048+\i*8(%rsi)
        .endr
        vzeroupper
        ret
        .cfi_endproc
        .size   storm_avx512, . - storm_avx512

        .section .note.GNU-stack, "", @progbits

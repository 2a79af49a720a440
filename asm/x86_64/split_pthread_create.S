// __wrap_pthread_create: what the compiler driver's --wrap=pthread_create asks for.
//
// 1. With -fsplit-stack the gcc driver and clang link with --wrap=pthread_create: each reference to
//    pthread_create becomes one to __wrap_pthread_create.  libgcc's would come with its own
//    __morestack and with thread stacks of its own making; this one leads on to pthread_create.
// 2. __real_pthread_create is weak: only a link with that option resolves it, and only in such a link
//    is this called.  So urge-split may ask for this member always, wherever on the command line it
//    stands.

// int __wrap_pthread_create(pthread_t* rdi, const pthread_attr_t* rsi, void* (*rdx)(void*), void* rcx)
//   = jump pthread_create
        .section urge_text, "ax", @progbits
        .weak   __real_pthread_create
        .globl  __wrap_pthread_create
        .hidden __wrap_pthread_create
        .type   __wrap_pthread_create, @function
        .p2align 4
__wrap_pthread_create:
        .cfi_startproc
        jmp     *__real_pthread_create@GOTPCREL(%rip)
        .cfi_endproc
        .size   __wrap_pthread_create, . - __wrap_pthread_create

        .section .note.GNU-stack, "", @progbits

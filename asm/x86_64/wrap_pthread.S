// wrap_pthread.S: member of liburge_split.a for links that pass --wrap=pthread_create.
//
// gcc and clang add that option when -fsplit-stack is given at link time, and libgcc's wrapper, which allocates a
// split stack for the thread, would pull in libgcc's __morestack. urge needs no wrapper: this one passes on.
//
// With the option, the linker turns __real_pthread_create into pthread_create. Without it, nobody calls the wrapper,
// and real_pthread.S, which only then is needed, satisfies the reference.

#include "asm/asm.h"

	.text

// int __wrap_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)
//
//   return pthread_create(same arguments);
URGE_FUNCTION __wrap_pthread_create, ordinary
	jmp	*__real_pthread_create@GOTPCREL(%rip)
URGE_END __wrap_pthread_create

URGE_FILE_NOTES

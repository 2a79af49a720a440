// real_pthread.S: member of liburge_split.a, used only where the link does not wrap pthread_create; see
// wrap_pthread.S. A member of its own, because under --wrap its reference would come back to the wrapper.

#include "asm/asm.h"

	.text

// int __real_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)
//
//   return pthread_create(same arguments);
URGE_FUNCTION __real_pthread_create, ordinary
	jmp	*pthread_create@GOTPCREL(%rip)
URGE_END __real_pthread_create

URGE_FILE_NOTES

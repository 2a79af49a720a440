// entry.S: the bottom frame of every goroutine. Go: goexit.
//
// 1. urge_make_context builds a frame whose return address is urge_goexit + URGE_GOEXIT_ENTRY.
// 2. The first urge_switch to it pops rbx = invoke and r12 = closure, and returns here.
// 3. invoke(closure) runs the goroutine; when it returns, urge_goexit0 ends it and never returns.
//
// The return address is undefined in the CFI, so libgcc, libunwind and gdb stop here: backtraces end in
// `urge_goexit`, and an uncaught exception reaches std::terminate with the stack still intact. RBP is 0, which
// stops walkers of frame pointers.

#include "asm/asm.h"

	URGE_RUNTIME_TEXT

// [[noreturn]] void urge_goexit(void);   entered by return, never by call
//   rbx = invoke, r12 = closure, rbp = 0, rsp 16-byte aligned
//
//   invoke(closure);
//   urge_goexit0();
//
// The nop is for unwinders: a context that has not run yet has its return address behind it, and they look up
// the byte before a return address.
URGE_FUNCTION urge_goexit, stack_bottom
	nop
.Lentry:
	.if	.Lentry - urge_goexit - URGE_GOEXIT_ENTRY
	.error	"URGE_GOEXIT_ENTRY"
	.endif
	movq	%r12, %rdi
	call	*%rbx
	call	urge_goexit0
	ud2
URGE_END urge_goexit

	.hidden urge_goexit0

URGE_FILE_NOTES

/* urge for C programs. Every function may be called from goroutines and from any thread unless it
 * says otherwise. Functions that return int return 0 or an errno value, unless they say otherwise;
 * errno itself is left alone. */

#ifndef URGE_C_H_
#define URGE_C_H_

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define URGE_C_NOEXCEPT noexcept
#else
#define URGE_C_NOEXCEPT
#endif
#define URGE_C_API __attribute__((visibility("default")))

/* The most that urge_go_copy copies, in bytes. */
#define URGE_GO_COPY_MAX 4096

/* Runs fn(arg) as a goroutine; starts the runtime if it isn't running.
 * Errors: EINVAL fn is null; ENOMEM no memory for a stack; EAGAIN and others: no thread. */
URGE_C_API int urge_go(void (*fn)(void*), void* arg) URGE_C_NOEXCEPT;

/* Runs fn as a goroutine on its own copy of the `bytes` bytes at arg, which is aligned as by
 * malloc and lives until fn returns.
 * Errors: as urge_go; E2BIG more than URGE_GO_COPY_MAX bytes; EINVAL arg is null with bytes > 0. */
URGE_C_API int urge_go_copy(void (*fn)(void*), const void* arg, size_t bytes) URGE_C_NOEXCEPT;

/* Runs fn(arg) as a goroutine and waits until it has returned. Errors: as urge_go. */
static inline int urge_run(void (*fn)(void*), void* arg) URGE_C_NOEXCEPT;

/* Starts the runtime with `procs` processors (0: the default). Optional.
 * Errors: EALREADY it is running; EINVAL procs out of range or a bad URGE_ variable. */
URGE_C_API int urge_start(int procs) URGE_C_NOEXCEPT;

/* Lets other goroutines run. */
URGE_C_API void urge_yield(void) URGE_C_NOEXCEPT;
/* The calling goroutine's id; 0 outside a goroutine. */
URGE_C_API uint64_t urge_goid(void) URGE_C_NOEXCEPT;
/* Blocks the caller for at least ns nanoseconds; zero or less yields. */
URGE_C_API void urge_sleep_ns(int64_t ns) URGE_C_NOEXCEPT;

/* How many goroutines can run at once; the number itself. */
URGE_C_API int urge_procs(void) URGE_C_NOEXCEPT;
/* Changes it. Errors: EINVAL; ETIMEDOUT some goroutine could not be stopped. */
URGE_C_API int urge_set_procs(int n) URGE_C_NOEXCEPT;
/* How many goroutines exist, without the runtime's own. */
URGE_C_API size_t urge_goroutines(void) URGE_C_NOEXCEPT;

/* Wires the calling goroutine to its thread, until as many unlocks. */
URGE_C_API void urge_lock_os_thread(void) URGE_C_NOEXCEPT;
URGE_C_API void urge_unlock_os_thread(void) URGE_C_NOEXCEPT;

/* Calls fn(arg), which may block the thread, while other goroutines go on. EINVAL: fn is null. */
static inline int urge_blocking(void (*fn)(void*), void* arg) URGE_C_NOEXCEPT;
/* The same in two halves; they don't nest. */
URGE_C_API void urge_blocking_enter(void) URGE_C_NOEXCEPT;
URGE_C_API void urge_blocking_leave(void) URGE_C_NOEXCEPT;

/* Between these the calling goroutine is not preempted; they nest. */
URGE_C_API void urge_no_preempt_enter(void) URGE_C_NOEXCEPT;
URGE_C_API void urge_no_preempt_leave(void) URGE_C_NOEXCEPT;
/* Yields if the goroutine was asked to. */
URGE_C_API void urge_checkpoint(void) URGE_C_NOEXCEPT;

/* What follows is how urge_run and urge_blocking work, and not for use by itself. Here and not in
 * the library, so that no frame of the runtime lies below fn's, where it would forbid preemption.
 */
struct urge_run_call {
  void (*fn)(void*);
  void* arg;
  uintptr_t done; /* the library's */
};
URGE_C_API int urge_run_and_wait(void (*body)(void*), struct urge_run_call* call) URGE_C_NOEXCEPT;
URGE_C_API void urge_run_is_done(struct urge_run_call* call) URGE_C_NOEXCEPT;

static inline void urge_run_body(void* p) {
  struct urge_run_call* call = (struct urge_run_call*)p;
  call->fn(call->arg);
  urge_run_is_done(call);
}

static inline int urge_run(void (*fn)(void*), void* arg) URGE_C_NOEXCEPT {
  struct urge_run_call call = {fn, arg, 0};
  return urge_run_and_wait(urge_run_body, &call);
}

static inline int urge_blocking(void (*fn)(void*), void* arg) URGE_C_NOEXCEPT {
  if (fn == NULL) return EINVAL;
  urge_blocking_enter();
  fn(arg);
  urge_blocking_leave();
  return 0;
}

#ifdef __cplusplus
}
#endif

#endif /* URGE_C_H_ */

/* What a C program does with <urge/c.h>, compiled as C11. */

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include <urge/c.h>

int c_counts_in_goroutines(int n);
int c_runs_and_returns(void);
int c_refuses_null(void);

static void count(void* p) {
  urge_yield();
  urge_sleep_ns(1000);
  urge_checkpoint();
  atomic_fetch_add((atomic_int*)p, 1);
}

int c_counts_in_goroutines(int n) {
  static atomic_int counter;
  atomic_store(&counter, 0);
  for (int i = 0; i < n; ++i) {
    if (urge_go(count, &counter) != 0) return -1;
  }
  while (atomic_load(&counter) != n) urge_yield();
  return atomic_load(&counter);
}

static void blocks(void* p) { *(int*)p += 1; }

static void body(void* p) {
  int* steps = p;
  if (urge_goid() != 0) *steps += 1;
  urge_no_preempt_enter();
  urge_yield();
  urge_no_preempt_leave();
  urge_lock_os_thread();
  urge_unlock_os_thread();
  if (urge_blocking(blocks, steps) == 0) *steps += 1;
  if (urge_goroutines() >= 1) *steps += 1;
}

int c_runs_and_returns(void) {
  int steps = 0;
  const int error = urge_run(body, &steps);
  if (error != 0) return error;
  return steps == 4 ? 0 : 1000 + steps;
}

int c_refuses_null(void) {
  if (urge_go(NULL, NULL) != EINVAL) return 1;
  if (urge_run(NULL, NULL) != EINVAL) return 2;
  if (urge_go_copy(NULL, NULL, 0) != EINVAL) return 3;
  if (urge_blocking(NULL, NULL) != EINVAL) return 4;
  return 0;
}

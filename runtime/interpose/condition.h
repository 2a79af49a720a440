// What C11's condition variables need of those of pthread.

#ifndef URGE_RUNTIME_INTERPOSE_CONDITION_H_
#define URGE_RUNTIME_INTERPOSE_CONDITION_H_

#include <pthread.h>

#include "runtime/sched/sched.h"

namespace urge::interpose {

// pthread_cond_wait and _timedwait of a goroutine. Runs on: G.
int WaitForCondition(sched::M* m, pthread_cond_t* condition, pthread_mutex_t* mutex);
int WaitForConditionUntil(sched::M* m, pthread_cond_t* condition, pthread_mutex_t* mutex,
                          const timespec* when);
// Wakes at most `max` goroutines that wait for it: what a signal does beside libc's part.
void WakeSleepers(const pthread_cond_t* condition, int max);

}  // namespace urge::interpose

#endif  // URGE_RUNTIME_INTERPOSE_CONDITION_H_

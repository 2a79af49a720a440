// What condition variables, and C11's mutexes, need of pthread mutexes on a goroutine.

#ifndef URGE_RUNTIME_INTERPOSE_MUTEX_H_
#define URGE_RUNTIME_INTERPOSE_MUTEX_H_

#include <pthread.h>

namespace urge::interpose {

// pthread_mutex_lock and its kin of a goroutine, with what they count. Runs on: G.
int LockMutex(pthread_mutex_t* mutex);
int LockMutexUntil(pthread_mutex_t* mutex, const timespec* when);
int TryLockMutex(pthread_mutex_t* mutex);
int UnlockMutex(pthread_mutex_t* mutex);

}  // namespace urge::interpose

#endif  // URGE_RUNTIME_INTERPOSE_MUTEX_H_

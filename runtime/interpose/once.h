// pthread_once of a goroutine, which C11's call_once is as well.

#ifndef URGE_RUNTIME_INTERPOSE_ONCE_H_
#define URGE_RUNTIME_INTERPOSE_ONCE_H_

#include <pthread.h>

namespace urge::interpose {

// Runs on: G. Throws what the function throws.
int Once(pthread_once_t* once, void (*function)());

}  // namespace urge::interpose

#endif  // URGE_RUNTIME_INTERPOSE_ONCE_H_

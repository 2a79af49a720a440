// dlclose, which stands in for libc's.
//
// Text that goes away must leave the preemption map first: something else may be mapped there at
// once, and would be taken for what was there. So dlclose withdraws the libraries' text, has libc
// close, and rebuilds the map. A library whose destructors run meanwhile is not preempted.
//
// dlopen needs no such care: text that the map doesn't know is not preempted, and sysmon rebuilds
// the map when a request has met some. And it can't be wrapped: libc takes its caller's RUNPATH and
// namespace by the return address.

#ifndef URGE_RUNTIME_PREEMPT_DL_H_
#define URGE_RUNTIME_PREEMPT_DL_H_

namespace urge::preempt {

// libc's dlclose.
int CloseHandle(void* handle);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_DL_H_

// What a libc call costs a goroutine: its P goes on without it.
//
// A call of libc that may block, from a goroutine:
//  1. EnterSyscall: the P may be taken by sysmon (kShort), or is handed on at once (kBlocks).
//  2. libc's own function blocks the thread.
//  3. ExitSyscall: the goroutine takes its P back, or another, or waits for one, wired to its
//     thread, since compilers keep errno's address over calls.
//  4. If a preemption signal of ours cut the call short (a request that was under way when the call
//     began, or the timer for the end of the slice), it is begun again, with what time is left: the
//     handler has told so in M::cut_short. An EINTR that anybody else caused is returned.
//
// From anything else (a plain thread, g0, a handler on the alternate stack, the runtime itself) the
// call is libc's, after one branch.
//
// Source: Go's entersyscall, entersyscallblock, exitsyscall.

#ifndef URGE_RUNTIME_INTERPOSE_GOROUTINE_H_
#define URGE_RUNTIME_INTERPOSE_GOROUTINE_H_

#include <cerrno>
#include <cstdint>
#include <utility>

#include <urge/preempt.h>

#include "runtime/sched/current.h"
#include "runtime/sched/sched.h"

namespace urge::interpose {

// Is the code at `pc` urge's own?
bool IsRuntimeText(const void* pc);
// The second half of GoroutineM.
bool IsGoroutineCall(const sched::M* m, const void* caller);

// The M if the caller is a goroutine whose call concerns the scheduler, else null. `caller` is the
// return address of the interposed function.
inline sched::M* GoroutineM(const void* caller) {
  sched::M* m = sched::CurrentM();
  if (URGE_LIKELY(m == nullptr)) return nullptr;
  return IsGoroutineCall(m, caller) ? m : nullptr;
}
#define URGE_GOROUTINE_M() ::urge::interpose::GoroutineM(__builtin_return_address(0))

// The last thing in a call that may have kept its goroutine from being interrupted: who is asked to
// stop does so, if the frames below allow it. `caller` as above. No runtime lock may be held.
void ServeRequest(const void* caller);
inline void EndOfCall(const void* caller) {
  if (URGE_UNLIKELY(urge::detail::guard_says_slow())) ServeRequest(caller);
}

// Both keep errno. Without a P (inside urge::blocking) they do nothing.
void BeginCall(sched::M* m, sched::SyscallKind kind);
void EndCall();

// Makes a call of a function that returns an error number, never EINTR.
template <class Call>
auto InSyscall(sched::M* m, sched::SyscallKind kind, Call call) {
  const bool has_p = m->p != nullptr;
  if (has_p) BeginCall(m, kind);
  const auto result = call();
  if (has_p) EndCall();
  return result;
}

inline bool WasInterrupted(long result) { return result == -1 && errno == EINTR; }

// Calls once. M::cut_short tells then whether a signal of ours has interrupted the call.
template <class Call>
auto CallOnce(sched::M* m, Call call) {
  // Ordered for the handler on this thread, which is all that looks.
  m->cut_short.store(false, std::memory_order_relaxed);
  m->in_call.store(true, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const auto result = call();
  std::atomic_signal_fence(std::memory_order_seq_cst);
  m->in_call.store(false, std::memory_order_relaxed);
  return result;
}

// Calls until the result isn't an EINTR of our making. `failed(result)` tells an EINTR.
template <class Call, class Failed>
auto Restarting(sched::M* m, Call call, Failed failed) {
  for (;;) {
    const auto result = CallOnce(m, call);
    if (!failed(result) || !m->cut_short.load(std::memory_order_relaxed)) return result;
  }
}

// Makes a call of a function that returns -1 and sets errno. `call` is called again after an
// interruption of our making, and works out by itself what time is left.
template <class Call>
auto Block(sched::M* m, sched::SyscallKind kind, Call call) {
  return InSyscall(m, kind, [&] {
    return Restarting(m, call,
                      [](auto result) { return WasInterrupted(static_cast<long>(result)); });
  });
}

// Counts locks held that remember their thread (recursive, errorcheck, robust, PI; a rwlock's
// writer; a FILE): while there is one the goroutine is wired, since on its thread another would
// pass for the owner.
void HoldThread();
void ReleaseThread();

// errno = error, at the address where it is now; returns -1.
[[gnu::noinline]] int Fail(int error);

}  // namespace urge::interpose

#endif  // URGE_RUNTIME_INTERPOSE_GOROUTINE_H_

// Signal handlers, alternate stacks and the ends of threads, where they meet goroutines.
//
//  - A handler runs on the thread's alternate stack, where it has one: SA_ONSTACK is added to what
//    the program asks for, and not shown when it asks back. A goroutine's stack is small, and a
//    handler on it couldn't be told from the code that it interrupted, which may be the scheduler.
//    Threads of the program's own without an alternate stack notice nothing. Go asks the same of
//    every handler in a program that it shares.
//  - The preemption signal stays urge's, and so does SIGPROF once a profile was taken. What the
//    program installs for it is called with every signal of that number that isn't urge's, as what
//    it had installed before the start is.
//  - A thread that runs goroutines has an alternate stack already, which is not the goroutine's to
//    change: an attempt succeeds if a handler has as much room there, and changes nothing.
//  - A goroutine is not a thread: pthread_exit in one, and pthread_cancel of the thread that one
//    happens to run on, are errors.

#include <pthread.h>
#include <signal.h>

#include "runtime/interpose/goroutine.h"
#include "runtime/interpose/libc.h"
#include "runtime/preempt/foreign_handler.h"
#include "runtime/preempt/signal.h"
#include "runtime/sched/park.h"

namespace urge::interpose {

using sched::M;

namespace {

constexpr int kSignals = 65;
// SA_ONSTACK is ours, not the program's. Two that set one signal's handler at once may see it.
constinit std::atomic<bool> g_added[kSignals]{};

bool IsFunction(const struct sigaction& action) {
  return action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

}  // namespace

URGE_LIBC(int, sigaction, (int signal, const struct sigaction* action, struct sigaction* old),
          (signal, action, old))

namespace {

// Signal-safe: yes.
int SetHandler(int signal, const struct sigaction* action, struct sigaction* old) {
  if (preempt::ForeignHandler* foreign = preempt::SharedSignal(signal)) {
    foreign->Exchange(action, old);
    return 0;
  }
  struct sigaction mine;
  bool adds = false;
  if (action != nullptr && IsFunction(*action) && (action->sa_flags & SA_ONSTACK) == 0) {
    mine = *action;
    mine.sa_flags |= SA_ONSTACK;
    action = &mine;
    adds = true;
  }
  const int result = libc_sigaction(signal, action, old);
  if (result != 0 || signal < 0 || signal >= kSignals) return result;
  const bool had = action != nullptr ? g_added[signal].exchange(adds, std::memory_order_relaxed)
                                     : g_added[signal].load(std::memory_order_relaxed);
  if (old != nullptr && had) old->sa_flags &= ~SA_ONSTACK;
  return 0;
}

sighandler_t SetSimpleHandler(int signal, sighandler_t handler, int flags, bool masks_itself) {
  struct sigaction action {
  }, old;
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  if (handler == SIG_ERR || (masks_itself && sigaddset(&action.sa_mask, signal) != 0)) {
    Fail(EINVAL);
    return SIG_ERR;
  }
  return SetHandler(signal, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

}  // namespace

#define URGE_STAND_IN(result, name, parameters)                           \
  extern "C" URGE_API result interposed_##name parameters __asm__(#name); \
  extern "C" result interposed_##name parameters

URGE_STAND_IN(int, sigaction, (int signal, const struct sigaction* action, struct sigaction* old)) {
  if (IsRuntimeText(__builtin_return_address(0))) return libc_sigaction(signal, action, old);
  return SetHandler(signal, action, old);
}

// BSD's, which C++ and most of C get, and System V's, for strictly conforming C.
URGE_STAND_IN(sighandler_t, signal, (int signal, sighandler_t handler)) {
  return SetSimpleHandler(signal, handler, SA_RESTART, true);
}
URGE_STAND_IN(sighandler_t, __sysv_signal, (int signal, sighandler_t handler)) {
  return SetSimpleHandler(signal, handler, static_cast<int>(SA_RESETHAND) | SA_NODEFER, false);
}

URGE_INTERPOSE(int, sigaltstack, (const stack_t* stack, stack_t* old), (stack, old)) {
  const M* m = sched::CurrentM();
  if (URGE_LIKELY(m == nullptr) || stack == nullptr ||
      m->curg.load(std::memory_order_relaxed) == nullptr ||
      IsRuntimeText(__builtin_return_address(0))) {
    return libc_sigaltstack(stack, old);
  }
  if ((stack->ss_flags & ~SS_DISABLE) != 0) return Fail(EINVAL);
  if (stack->ss_flags == 0 && !preempt::FitsSignalStack(stack->ss_size)) return Fail(ENOMEM);
  if (preempt::OnSignalStack(m)) return Fail(EPERM);
  return old == nullptr ? 0 : libc_sigaltstack(nullptr, old);
}

URGE_INTERPOSE(void, pthread_exit, (void* result), (result)) {
  if (sched::CurrentG() != nullptr) {
    base::Fatal("pthread_exit called in a goroutine, which is not a thread");
  }
  libc_pthread_exit(result);
}

URGE_INTERPOSE(int, pthread_cancel, (pthread_t thread), (thread)) {
  if (sched::IsThreadOfScheduler(thread)) {
    base::Fatal("pthread_cancel of a thread that runs goroutines");
  }
  return libc_pthread_cancel(thread);
}

}  // namespace urge::interpose

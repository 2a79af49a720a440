// C11's <threads.h>: glibc makes its mutexes and condition variables of pthread's, but calls those
// by names that nobody can stand in for. A mtx_t is a pthread_mutex_t, a cnd_t a pthread_cond_t, a
// once_flag a pthread_once_t (glibc's sysdeps/nptl/threads.h, thrd_priv.h); so a goroutine waits
// for them as mutex.cc, condition.cc and locks.cc say, and sched_yield yields the goroutine.
//
// thrd_exit is pthread_exit: a goroutine is not a thread.

#include <sched.h>
#include <threads.h>

#include <urge/go.h>

#include "runtime/interpose/condition.h"
#include "runtime/interpose/libc.h"
#include "runtime/interpose/limit.h"
#include "runtime/interpose/mutex.h"
#include "runtime/interpose/once.h"
#include "runtime/interpose/turn.h"
#include "runtime/sched/park.h"

namespace urge::interpose {
namespace {

using sched::M;
using sched::SyscallKind;

pthread_mutex_t* Pthread(mtx_t* mutex) { return reinterpret_cast<pthread_mutex_t*>(mutex); }
pthread_cond_t* Pthread(cnd_t* condition) { return reinterpret_cast<pthread_cond_t*>(condition); }

// glibc's thrd_err_map.
int Result(int error) {
  switch (error) {
    case 0:
      return thrd_success;
    case ENOMEM:
      return thrd_nomem;
    case ETIMEDOUT:
      return thrd_timedout;
    case EBUSY:
      return thrd_busy;
    default:
      return thrd_error;
  }
}

}  // namespace

URGE_INTERPOSE(int, mtx_lock, (mtx_t * mutex), (mutex)) {
  if (URGE_LIKELY(URGE_GOROUTINE_M() == nullptr)) return libc_mtx_lock(mutex);
  return Result(LockMutex(Pthread(mutex)));
}

URGE_INTERPOSE(int, mtx_timedlock, (mtx_t * mutex, const timespec* when), (mutex, when)) {
  if (URGE_LIKELY(URGE_GOROUTINE_M() == nullptr)) return libc_mtx_timedlock(mutex, when);
  return Result(LockMutexUntil(Pthread(mutex), when));
}

URGE_INTERPOSE(int, mtx_trylock, (mtx_t * mutex), (mutex)) {
  if (URGE_LIKELY(URGE_GOROUTINE_M() == nullptr)) return libc_mtx_trylock(mutex);
  return Result(TryLockMutex(Pthread(mutex)));
}

URGE_INTERPOSE(int, mtx_unlock, (mtx_t * mutex), (mutex)) {
  if (URGE_LIKELY(URGE_GOROUTINE_M() == nullptr)) return libc_mtx_unlock(mutex);
  return Result(UnlockMutex(Pthread(mutex)));
}

URGE_INTERPOSE(int, cnd_wait, (cnd_t * condition, mtx_t* mutex), (condition, mutex)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_cnd_wait(condition, mutex);
  return Result(WaitForCondition(m, Pthread(condition), Pthread(mutex)));
}

URGE_INTERPOSE(int, cnd_timedwait, (cnd_t * condition, mtx_t* mutex, const timespec* when),
               (condition, mutex, when)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_cnd_timedwait(condition, mutex, when);
  return Result(WaitForConditionUntil(m, Pthread(condition), Pthread(mutex), when));
}

URGE_INTERPOSE(int, cnd_signal, (cnd_t * condition), (condition)) {
  const int result = libc_cnd_signal(condition);
  WakeSleepers(Pthread(condition), 1);
  return result;
}

URGE_INTERPOSE(int, cnd_broadcast, (cnd_t * condition), (condition)) {
  const int result = libc_cnd_broadcast(condition);
  WakeSleepers(Pthread(condition), INT32_MAX);
  return result;
}

URGE_INTERPOSE(void, call_once, (once_flag * once, void (*function)()), (once, function)) {
  if (URGE_LIKELY(URGE_GOROUTINE_M() == nullptr)) {
    libc_call_once(once, function);
  } else {
    Once(reinterpret_cast<pthread_once_t*>(once), function);
  }
}

URGE_INTERPOSE(int, thrd_join, (thrd_t thread, int* result), (thread, result)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_thrd_join(thread, result);
  return InSyscall(m, SyscallKind::kBlocks, [=] { return libc_thrd_join(thread, result); });
}

URGE_INTERPOSE(int, thrd_sleep, (const timespec* time, timespec* left), (time, left)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr) || time == nullptr || time->tv_sec < 0 || !IsValid(time)) {
    return libc_thrd_sleep(time, left);
  }
  const timespec rest = Sleep(m, *time);
  if (IsZero(rest)) return 0;
  if (left != nullptr) *left = rest;
  return -1;
}

URGE_INTERPOSE(void, thrd_exit, (int result), (result)) {
  if (sched::CurrentG() != nullptr) {
    base::Fatal("thrd_exit called in a goroutine, which is not a thread");
  }
  libc_thrd_exit(result);
}

// ---- Yielding: to other goroutines, if there are any, else to other threads ----

namespace {

// False if there is nobody to yield to, or the caller may keep something of its thread.
bool YieldGoroutine(M* m) {
  const sched::P* p = m->p;
  if (p == nullptr) return false;
  if (p->queue.Empty() && sched::g_sched.global_size.load(std::memory_order_relaxed) == 0) {
    return false;
  }
  if (!CallerMayMove()) return false;
  urge::yield();
  return true;
}

}  // namespace

URGE_INTERPOSE(int, sched_yield, (), ()) {
  M* m = URGE_GOROUTINE_M();
  if (m != nullptr && YieldGoroutine(m)) return 0;
  return libc_sched_yield();
}

URGE_INTERPOSE(void, thrd_yield, (), ()) {
  M* m = URGE_GOROUTINE_M();
  if (m == nullptr || !YieldGoroutine(m)) libc_thrd_yield();
}

}  // namespace urge::interpose

// rwlocks, semaphores, pthread_once and the locks of FILEs: as mutex.cc.
//
// A rwlock remembers a writer by thread, and no reader: only a writer is wired. Readers and writers
// queue apart, since under a writer's nose libc may let readers in whom others wait for.
//
// pthread_once calls back, with a note in the thread's own list of what to undo: who goes in is
// wired until it is out, and the others wait for it here, not in libc, whose wait would keep a P.

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#include "runtime/interpose/libc.h"
#include "runtime/interpose/once.h"
#include "runtime/interpose/turn.h"

namespace urge::interpose {
namespace {

using sched::M;
using sched::SyscallKind;
using sched::WaitReason;

bool IsWriter(const M* m, const pthread_rwlock_t* lock) {
  return __atomic_load_n(&lock->__data.__cur_writer, __ATOMIC_RELAXED) == m->tid;
}

const void* ReadersOf(const pthread_rwlock_t* lock) {
  return reinterpret_cast<const char*>(lock) + 1;
}

enum class Access { kRead, kWrite };

template <class Attempt, class Wait>
int LockShared(Access access, pthread_rwlock_t* lock, clockid_t clock, const timespec* when,
               Attempt attempt, Wait wait) {
  int result = attempt();
  if (result == EBUSY) {
    if (!IsValid(when) || IsWriter(sched::CurrentM(), lock)) {
      result = InSyscall(sched::CurrentM(), SyscallKind::kBlocks, wait);  // libc's answer: EDEADLK
    } else {
      const void* key = access == Access::kRead ? ReadersOf(lock) : lock;
      result = Contend(key, DeadlineNs(clock, when), WaitReason::kMutexLock, attempt, wait);
    }
  }
  if (result == 0 && access == Access::kWrite) HoldThread();
  return result;
}

}  // namespace

// access: kRead or kWrite; rd: how libc's names begin.
#define URGE_RWLOCK(access, rd)                                                                    \
  URGE_INTERPOSE(int, pthread_rwlock_try##rd##lock, (pthread_rwlock_t * lock), (lock)) {           \
    const M* m = URGE_GOROUTINE_M();                                                               \
    const int result = libc_pthread_rwlock_try##rd##lock(lock);                                    \
    if (URGE_LIKELY(m == nullptr)) return result;                                                  \
    if (result == 0 && access == Access::kWrite) HoldThread();                                     \
    return result;                                                                                 \
  }                                                                                                \
  URGE_INTERPOSE(int, pthread_rwlock_##rd##lock, (pthread_rwlock_t * lock), (lock)) {              \
    const M* m = URGE_GOROUTINE_M();                                                               \
    if (URGE_LIKELY(m == nullptr)) return libc_pthread_rwlock_##rd##lock(lock);                    \
    return LockShared(                                                                             \
        access, lock, CLOCK_REALTIME, nullptr,                                                     \
        [=] { return libc_pthread_rwlock_try##rd##lock(lock); },                                   \
        [=] { return libc_pthread_rwlock_##rd##lock(lock); });                                     \
  }                                                                                                \
  URGE_INTERPOSE(int, pthread_rwlock_timed##rd##lock,                                              \
                 (pthread_rwlock_t * lock, const timespec* when), (lock, when)) {                  \
    const M* m = URGE_GOROUTINE_M();                                                               \
    const auto wait = [=] { return libc_pthread_rwlock_timed##rd##lock(lock, when); };             \
    if (URGE_LIKELY(m == nullptr)) return wait();                                                  \
    return LockShared(                                                                             \
        access, lock, CLOCK_REALTIME, when,                                                        \
        [=] { return libc_pthread_rwlock_try##rd##lock(lock); }, wait);                            \
  }                                                                                                \
  URGE_INTERPOSE(int, pthread_rwlock_clock##rd##lock,                                              \
                 (pthread_rwlock_t * lock, clockid_t clock, const timespec* when),                 \
                 (lock, clock, when)) {                                                            \
    const M* m = URGE_GOROUTINE_M();                                                               \
    const auto wait = [=] { return libc_pthread_rwlock_clock##rd##lock(lock, clock, when); };      \
    if (URGE_LIKELY(m == nullptr)) return wait();                                                  \
    return LockShared(                                                                             \
        access, lock, clock, when, [=] { return libc_pthread_rwlock_try##rd##lock(lock); }, wait); \
  }

URGE_RWLOCK(Access::kRead, rd)
URGE_RWLOCK(Access::kWrite, wr)

URGE_INTERPOSE(int, pthread_rwlock_unlock, (pthread_rwlock_t * lock), (lock)) {
  const M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_pthread_rwlock_unlock(lock);
  const bool writer = IsWriter(m, lock);
  const int result = libc_pthread_rwlock_unlock(lock);
  if (result == 0 && writer) ReleaseThread();
  return result;
}

// ---- Semaphores: they tell by errno, but who looks at that is thread-bound, and stays ----

URGE_LIBC(int, sem_trywait, (sem_t * semaphore), (semaphore))

namespace {

// Not inlined: errno's address must not be kept over a wait.
[[gnu::noinline]] int TryWait(sem_t* semaphore) {
  const int saved_errno = errno;
  if (libc_sem_trywait(semaphore) == 0) return 0;
  errno = saved_errno;
  return kTaken;
}

// `wait` is libc's own. Its error, as a number.
template <class Wait>
[[gnu::noinline]] int BlockInSemaphore(Wait wait) {
  const int result = Restarting(sched::CurrentM(), wait, WasInterrupted);
  return result == 0 ? 0 : errno;
}

template <class Wait>
int WaitSemaphore(sem_t* semaphore, clockid_t clock, const timespec* when, Wait wait) {
  if (TryWait(semaphore) == 0) return 0;
  const auto block = [=] { return BlockInSemaphore(wait); };
  int error;
  if (!IsValid(when)) {
    error = InSyscall(sched::CurrentM(), SyscallKind::kBlocks, block);  // libc's answer
  } else {
    error = Contend(
        semaphore, DeadlineNs(clock, when), WaitReason::kSemaphore,
        [=] { return TryWait(semaphore); }, block);
  }
  return error == 0 ? 0 : Fail(error);
}

}  // namespace

URGE_INTERPOSE(int, sem_wait, (sem_t * semaphore), (semaphore)) {
  const auto wait = [=] { return libc_sem_wait(semaphore); };
  if (URGE_LIKELY(URGE_GOROUTINE_M() == nullptr)) return wait();
  return WaitSemaphore(semaphore, CLOCK_REALTIME, nullptr, wait);
}

URGE_INTERPOSE(int, sem_timedwait, (sem_t * semaphore, const timespec* when), (semaphore, when)) {
  const auto wait = [=] { return libc_sem_timedwait(semaphore, when); };
  if (URGE_LIKELY(URGE_GOROUTINE_M() == nullptr)) return wait();
  return WaitSemaphore(semaphore, CLOCK_REALTIME, when, wait);
}

URGE_INTERPOSE(int, sem_clockwait, (sem_t * semaphore, clockid_t clock, const timespec* when),
               (semaphore, clock, when)) {
  const auto wait = [=] { return libc_sem_clockwait(semaphore, clock, when); };
  if (URGE_LIKELY(URGE_GOROUTINE_M() == nullptr)) return wait();
  return WaitSemaphore(semaphore, clock, when, wait);
}

// ---- FILEs: recursive, and owned by a thread ----

URGE_INTERPOSE(int, ftrylockfile, (FILE * file), (file)) {
  const M* m = URGE_GOROUTINE_M();
  const int result = libc_ftrylockfile(file);
  if (m != nullptr && result == 0) HoldThread();
  return result;
}

URGE_INTERPOSE(void, flockfile, (FILE * file), (file)) {
  const M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_flockfile(file);
  const auto attempt = [=] { return libc_ftrylockfile(file) == 0 ? 0 : kTaken; };
  if (attempt() != 0) {
    Contend(file, base::kNever, WaitReason::kMutexLock, attempt, [=] {
      libc_flockfile(file);
      return 0;
    });
  }
  HoldThread();
}

URGE_INTERPOSE(void, funlockfile, (FILE * file), (file)) {
  const M* m = URGE_GOROUTINE_M();
  libc_funlockfile(file);
  if (m != nullptr) ReleaseThread();
}

// ---- pthread_once ----

URGE_INTERPOSE(int, pthread_once, (pthread_once_t * once, void (*function)()), (once, function)) {
  if (URGE_LIKELY(URGE_GOROUTINE_M() == nullptr)) return libc_pthread_once(once, function);
  return Once(once, function);
}

int Once(pthread_once_t* once, void (*function)()) {
  constexpr int kDone = 2;  // glibc's nptl/pthread_once.c
  if ((__atomic_load_n(once, __ATOMIC_ACQUIRE) & kDone) != 0) {
    return libc_pthread_once(once, function);
  }
  Turn turn(once);
  turn.Await(base::kNever, WaitReason::kMutexLock);
  HoldThread();
  struct Out {  // also when the function throws
    Turn& turn;
    ~Out() {
      ReleaseThread();
      turn.Leave();
    }
  } out{turn};
  return libc_pthread_once(once, function);
}

}  // namespace urge::interpose

// pthread mutexes, hence std::mutex and its kin: contended, they let the holder run; see turn.h.
//
// A mutex that remembers its owner does so by thread. While a goroutine holds one it is wired
// (HoldThread), so that no other goroutine, running on that thread, passes for the owner, and
// recursion, EDEADLK and EPERM are what they are for threads. A normal or adaptive mutex may be
// unlocked on another thread than it was locked on: libc checks nothing there.
//
// Of libc's mutex two words are read, as gdb and valgrind do: __kind, whose low seven bits are the
// type (glibc's nptl/pthreadP.h), and __owner, a thread id.

#include "runtime/interpose/mutex.h"

#include "runtime/interpose/libc.h"
#include "runtime/interpose/turn.h"

namespace urge::interpose {
namespace {

using sched::M;

bool RemembersThread(const pthread_mutex_t* mutex) {
  constexpr int kTypeBits = 0x7f;
  const int type = __atomic_load_n(&mutex->__data.__kind, __ATOMIC_RELAXED) & kTypeBits;
  return type != PTHREAD_MUTEX_TIMED_NP && type != PTHREAD_MUTEX_ADAPTIVE_NP;
}

bool IsOwn(const M* m, const pthread_mutex_t* mutex) {
  return __atomic_load_n(&mutex->__data.__owner, __ATOMIC_RELAXED) == m->tid;
}

bool IsLocked(int result) { return result == 0 || result == EOWNERDEAD; }

}  // namespace

URGE_INTERPOSE(int, pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex)) {
  const M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_pthread_mutex_trylock(mutex);
  return TryLockMutex(mutex);
}

int TryLockMutex(pthread_mutex_t* mutex) {
  const int result = libc_pthread_mutex_trylock(mutex);
  if (IsLocked(result) && RemembersThread(mutex)) HoldThread();
  return result;
}

namespace {

// `wait` is libc's own lock, timed or not.
template <class Wait>
int Lock(pthread_mutex_t* mutex, clockid_t clock, const timespec* when, Wait wait) {
  int result = libc_pthread_mutex_trylock(mutex);
  if (result == EBUSY) {
    if (!IsValid(when) || (RemembersThread(mutex) && IsOwn(sched::CurrentM(), mutex))) {
      result = InSyscall(sched::CurrentM(), sched::SyscallKind::kBlocks, wait);  // libc's answer
    } else {
      result = Contend(
          mutex, DeadlineNs(clock, when), sched::WaitReason::kMutexLock,
          [mutex] { return libc_pthread_mutex_trylock(mutex); }, wait);
    }
  }
  if (IsLocked(result) && RemembersThread(mutex)) HoldThread();
  return result;
}

}  // namespace

URGE_INTERPOSE(int, pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex)) {
  const M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_pthread_mutex_lock(mutex);
  return LockMutex(mutex);
}

int LockMutex(pthread_mutex_t* mutex) {
  return Lock(mutex, CLOCK_REALTIME, nullptr, [=] { return libc_pthread_mutex_lock(mutex); });
}

URGE_INTERPOSE(int, pthread_mutex_timedlock, (pthread_mutex_t * mutex, const timespec* when),
               (mutex, when)) {
  const M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_pthread_mutex_timedlock(mutex, when);
  return LockMutexUntil(mutex, when);
}

int LockMutexUntil(pthread_mutex_t* mutex, const timespec* when) {
  return Lock(mutex, CLOCK_REALTIME, when,
              [=] { return libc_pthread_mutex_timedlock(mutex, when); });
}

URGE_INTERPOSE(int, pthread_mutex_clocklock,
               (pthread_mutex_t * mutex, clockid_t clock, const timespec* when),
               (mutex, clock, when)) {
  const M* m = URGE_GOROUTINE_M();
  const auto wait = [=] { return libc_pthread_mutex_clocklock(mutex, clock, when); };
  if (URGE_LIKELY(m == nullptr)) return wait();
  return Lock(mutex, clock, when, wait);
}

URGE_INTERPOSE(int, pthread_mutex_unlock, (pthread_mutex_t * mutex), (mutex)) {
  const M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_pthread_mutex_unlock(mutex);
  const int result = UnlockMutex(mutex);
  EndOfCall(__builtin_return_address(0));
  return result;
}

int UnlockMutex(pthread_mutex_t* mutex) {
  const bool remembers = RemembersThread(mutex);  // it may be gone afterwards
  const int result = libc_pthread_mutex_unlock(mutex);
  if (result == 0 && remembers) ReleaseThread();
  return result;
}

}  // namespace urge::interpose

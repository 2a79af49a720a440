// pthread condition variables: a goroutine that waits parks; no thread waits for it.
//
//  1. Waiting: the goroutine lists itself under its bucket's lock, unlocks the mutex under that
//     same lock, parks, and takes the mutex again by mutex.cc's protocol.
//  2. Signalling, from anywhere: libc's own function, for threads that wait in libc, and then the
//     first goroutine that is listed for this condition variable (all of them for a broadcast).
//     POSIX allows both to wake at a signal: at least one is what it promises.
//
// No wake-up is lost: a goroutine is listed before the mutex is unlocked, and the unlocking
// publishes it. Who changes the condition under the mutex and then signals therefore finds it
// listed, or else the goroutine finds the condition changed.
//
// Cost for threads that signal: a load and a branch. No goroutine is ever a waiter in libc's eyes,
// so the condition variable may be destroyed as soon as all have been woken.
//
// Left to libc, with the P handed on: condition variables shared between processes, and waits
// inside urge::blocking.

#include <pthread.h>

#include "runtime/base/lists.h"
#include "runtime/interpose/condition.h"
#include "runtime/interpose/libc.h"
#include "runtime/interpose/mutex.h"
#include "runtime/interpose/turn.h"
#include "runtime/sched/start.h"

namespace urge::interpose {
namespace {

using sched::M;
using sched::SyscallKind;

struct Sleeper : sched::Waiter {
  explicit Sleeper(const pthread_cond_t* c) : condition(c) {}

  const pthread_cond_t* const condition;
  Sleeper* later = nullptr;  // [bucket lock]
};

struct Bucket {
  base::RuntimeMutex lock{base::LockRank::kWaitQueue};
  std::atomic<int> sleepers{0};  // [lock] written; read as a hint, see the top
  base::Queue<Sleeper, &Sleeper::later> list ABSL_GUARDED_BY(lock);

  void Append(Sleeper* s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock) {
    list.PushBack(s);
    Count();
  }
  bool Remove(Sleeper* s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock) {
    const bool removed = list.Remove(s);
    Count();
    return removed;
  }
  // Takes out, in order, at most `max` of those that wait for `condition`.
  base::Queue<Sleeper, &Sleeper::later> Take(const pthread_cond_t* condition, int max)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock) {
    base::Queue<Sleeper, &Sleeper::later> taken, left;
    while (taken.size() < max && !list.empty()) {
      Sleeper* s = list.PopFront();
      (s->condition == condition ? taken : left).PushBack(s);
    }
    left.Append(list);
    list = left;
    Count();
    return taken;
  }

 private:
  void Count() ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock) {
    sleepers.store(list.size(), std::memory_order_relaxed);
  }
};

constinit Bucket g_buckets[kBuckets];

}  // namespace

void WakeSleepers(const pthread_cond_t* condition, int max) {
  Bucket& bucket = g_buckets[BucketOf(condition)];
  if (URGE_LIKELY(bucket.sleepers.load(std::memory_order_relaxed) == 0)) return;
  // In a forked child there are none; the lists are their parent's.
  if (!sched::g_started.load(std::memory_order_relaxed)) return;
  base::Queue<Sleeper, &Sleeper::later> taken;
  {
    base::RuntimeLock lock(bucket.lock);
    taken = bucket.Take(condition, max);
  }
  while (Sleeper* s = taken.PopFront()) s->Wake();
}

namespace {

// glibc's nptl/pthread_cond_common.c: flags in the low bits of the count of references.
constexpr unsigned kShared = 1, kMonotonic = 2;

unsigned FlagsOf(const pthread_cond_t* condition) {
  return __atomic_load_n(&condition->__data.__wrefs, __ATOMIC_RELAXED);
}

// `wait` is libc's own. `when` is null for a wait without end.
template <class Wait>
int WaitFor(M* m, pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
            const timespec* when, Wait wait) {
  if (m->p == nullptr || (FlagsOf(condition) & kShared) != 0 || !CallerMayMove()) {
    return InSyscall(m, SyscallKind::kBlocks, wait);
  }
  if (!IsValid(when) || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)) return EINVAL;
  const std::uint64_t deadline_ns = DeadlineNs(clock, when);
  Bucket& bucket = g_buckets[BucketOf(condition)];
  Sleeper self(condition);
  bucket.lock.Lock();
  bucket.Append(&self);
  if (const int error = UnlockMutex(mutex); error != 0) {
    bucket.Remove(&self);
    bucket.lock.Unlock();
    return error;
  }
  const bool woken = self.WaitUntil(
      bucket.lock, sched::WaitReason::kConditionWait, deadline_ns,
      [](void* arg) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        auto* sleeper = static_cast<Sleeper*>(arg);
        return g_buckets[BucketOf(sleeper->condition)].Remove(sleeper);
      },
      &self);
  if (const int error = LockMutex(mutex); error != 0) return error;
  // The clock may have been set back: then it was for nothing, as any wake-up may be.
  return woken || DeadlineNs(clock, when) > 1 ? 0 : ETIMEDOUT;
}

}  // namespace

URGE_INTERPOSE(int, pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t* mutex),
               (condition, mutex)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_pthread_cond_wait(condition, mutex);
  return WaitForCondition(m, condition, mutex);
}

int WaitForCondition(M* m, pthread_cond_t* condition, pthread_mutex_t* mutex) {
  return WaitFor(m, condition, mutex, CLOCK_REALTIME, nullptr,
                 [=] { return libc_pthread_cond_wait(condition, mutex); });
}

URGE_INTERPOSE(int, pthread_cond_timedwait,
               (pthread_cond_t * condition, pthread_mutex_t* mutex, const timespec* when),
               (condition, mutex, when)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_pthread_cond_timedwait(condition, mutex, when);
  return WaitForConditionUntil(m, condition, mutex, when);
}

int WaitForConditionUntil(M* m, pthread_cond_t* condition, pthread_mutex_t* mutex,
                          const timespec* when) {
  const clockid_t clock = (FlagsOf(condition) & kMonotonic) != 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
  return WaitFor(m, condition, mutex, clock, when,
                 [=] { return libc_pthread_cond_timedwait(condition, mutex, when); });
}

URGE_INTERPOSE(int, pthread_cond_clockwait,
               (pthread_cond_t * condition, pthread_mutex_t* mutex, clockid_t clock,
                const timespec* when),
               (condition, mutex, clock, when)) {
  M* m = URGE_GOROUTINE_M();
  const auto wait = [=] { return libc_pthread_cond_clockwait(condition, mutex, clock, when); };
  if (URGE_LIKELY(m == nullptr)) return wait();
  return WaitFor(m, condition, mutex, clock, when, wait);
}

URGE_INTERPOSE(int, pthread_cond_signal, (pthread_cond_t * condition), (condition)) {
  const int result = libc_pthread_cond_signal(condition);
  WakeSleepers(condition, 1);
  return result;
}

URGE_INTERPOSE(int, pthread_cond_broadcast, (pthread_cond_t * condition), (condition)) {
  const int result = libc_pthread_cond_broadcast(condition);
  WakeSleepers(condition, INT32_MAX);
  return result;
}

}  // namespace urge::interpose

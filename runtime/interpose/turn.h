// Waiting one's turn: many goroutines wait for one thing of libc's, and one thread blocks in it.
//
// A goroutine that finds a pthread lock taken
//  1. tries again over a bounded number of yields, so that a holder on this P comes to run;
//  2. queues up for the lock's address. The first of the queue blocks in libc, as any thread
//     would, its P handed on; the others park in the runtime;
//  3. once the first has the lock (or has given up), the next is woken and becomes the first.
//
// Why nobody waits in vain: for each address with a queue one goroutine, the first, is on its way
// to libc's own wait, inside it, or on its way to Leave(). libc owes it the lock as it does any
// thread, and a goroutine that is readied runs. So the queue moves when and because libc's does,
// whoever unlocks, by whatever means.
//
// Why there are few threads: at most kMaxBlocked goroutines block in libc for these; when there are
// as many, the first of a further queue tries again and again, parking in between with growing
// pauses. They wait for nobody who waits for them: they hold no P and no thread while parked.
//
// Who waits without a P (inside urge::blocking) or may not leave its thread blocks in libc
// directly: its thread is its own.
//
// A goroutine that parked may go on on another thread, as after any of urge's own waits. These
// functions don't use errno; what else its callers may keep of a thread is looked for first
// (CallerMayMove), and a goroutine with such a frame blocks in libc, on its own thread.

#ifndef URGE_RUNTIME_INTERPOSE_TURN_H_
#define URGE_RUNTIME_INTERPOSE_TURN_H_

#include <time.h>

#include <algorithm>
#include <cstdint>

#include <urge/go.h>
#include <urge/time.h>

#include "runtime/interpose/goroutine.h"
#include "runtime/sched/park.h"

namespace urge::interpose {

inline constexpr int kLockSpins = 4;    // of base::kLockSpinPauses, where others run meanwhile
inline constexpr int kLockYields = 8;   // tries before queueing up
inline constexpr int kMaxBlocked = 64;  // threads that block in libc for queues of goroutines
// Pauses between tries where that many do; each is twice as long as the last.
inline constexpr std::uint64_t kFirstPauseNs = 20'000, kLastPauseNs = 1'000'000;

// May the calling goroutine go on on another thread after this call, which ordinary code does not
// expect of it? Not if one of its frames, libraries' included, may keep something of its thread, or
// can't be looked at. Takes no lock, allocates nothing; about 0.3 us a frame when warm.
bool CallerMayMove();

// CLOCK_MONOTONIC in ns when `clock` shows `when`; kNever for no time. A time in the past is 1.
// Requires: a valid tv_nsec.
std::uint64_t DeadlineNs(clockid_t clock, const timespec* when);
inline bool IsValid(const timespec* when) {
  return when == nullptr || (when->tv_nsec >= 0 && when->tv_nsec < 1'000'000'000);
}

// Queues are kept in so many buckets, by address.
inline constexpr std::size_t kBuckets = 64;  // a power of two
inline std::size_t BucketOf(const void* key) {
  // Fibonacci hashing; what is waited for is 8 bytes apart at least.
  return reinterpret_cast<std::uintptr_t>(key) * 0x9e3779b97f4a7c15u >> 58 & (kBuckets - 1);
}

class Turn : private sched::Waiter {
 public:
  explicit Turn(const void* key) : key_(key) {}

  // True when the caller is the first in the queue; false if the deadline came first.
  bool Await(std::uint64_t deadline_ns, sched::WaitReason reason);
  // Requires: Await returned true. The next in the queue becomes the first.
  void Leave();

 private:
  friend struct TurnQueue;

  const void* const key_;
  bool first_ = false;     // [bucket lock]
  Turn* later_ = nullptr;  // [bucket lock]
};

// May the first of a queue block a thread? Returns it by UnblockThread().
bool TryBlockThread();
void UnblockThread();

// One of `attempt`'s results means that it must wait.
inline constexpr int kTaken = EBUSY;

// Waits for what `attempt()` tries to get: its result other than kTaken. `wait()` is the same with
// libc's waiting, until the deadline, and is asked to judge when that has passed.
template <class Attempt, class Wait>
int Contend(const void* key, std::uint64_t deadline_ns, sched::WaitReason reason, Attempt attempt,
            Wait wait) {
  using sched::CurrentM;
  using sched::SyscallKind;
  int result;
  if (sched::g_sched.procs.load(std::memory_order_relaxed) > 1) {
    for (int spin = 0; spin < kLockSpins; ++spin) {
      for (int i = 0; i < base::kLockSpinPauses; ++i) base::CpuRelax();
      if ((result = attempt()) != kTaken) return result;
    }
  }
  if (CurrentM()->p == nullptr) return wait();
  if (!CallerMayMove()) return InSyscall(CurrentM(), SyscallKind::kBlocks, wait);
  for (int i = 0; i < kLockYields; ++i) {
    urge::yield();
    if ((result = attempt()) != kTaken) return result;
  }
  Turn turn(key);
  if (!turn.Await(deadline_ns, reason)) return InSyscall(CurrentM(), SyscallKind::kBlocks, wait);
  for (std::uint64_t pause_ns = kFirstPauseNs; (result = attempt()) == kTaken;) {
    if (TryBlockThread()) {
      result = InSyscall(CurrentM(), SyscallKind::kBlocks, wait);
      UnblockThread();
      break;
    }
    const std::uint64_t now = base::NowNs();
    if (now >= deadline_ns) {
      result = InSyscall(CurrentM(), SyscallKind::kBlocks, wait);
      break;
    }
    urge::detail::sleep_until_ns(std::min(deadline_ns, now + pause_ns));
    pause_ns = std::min(pause_ns * 2, kLastPauseNs);
  }
  turn.Leave();
  return result;
}

}  // namespace urge::interpose

#endif  // URGE_RUNTIME_INTERPOSE_TURN_H_

// The states of a goroutine, who owns its stack in each, and the legal moves between them.
//
//             newproc               execute                 goexit
//   kIdle ------------> kRunnable -----------> kRunning ------------> kDead --> (kRunnable again)
//                        ^  ^  ^                |  |  |
//                        |  |  +- yield, preempt+  |  +-- entersyscall --> kSyscall --+
//                        |  +------ Ready --- kWaiting <- park                        |
//                        +--- resume --- kPreempted <---- preempt to stay stopped     |
//                                                  ^ exitsyscall: kRunning/kRunnable -+
//
//  state       | on a run queue | owner of the stack
//  ------------+----------------+---------------------------------------------------------------
//  kIdle       | no             | nobody: just allocated
//  kRunnable   | yes            | the queue; whoever takes it off the queue
//  kRunning    | no             | the goroutine, on its M, which holds a P
//  kSyscall    | no             | the goroutine, on its M, whose P may be taken away
//  kWaiting    | no             | the list it waits on; whoever removes it from there
//  kDead       | no             | the free list, or the spawner that took it from there
//  kPreempted  | no             | whoever asked it to stay stopped (Go: _Gpreempted)
//
// Source: Go's runtime2.go, without the GC scan bit: the stack owner is always one party, so a
// transition is a checked store, not a compare-and-swap.

#ifndef URGE_RUNTIME_SCHED_STATUS_H_
#define URGE_RUNTIME_SCHED_STATUS_H_

#include <cstdint>

namespace urge::sched {

enum class GStatus : std::uint32_t {
  kIdle,
  kRunnable,
  kRunning,
  kSyscall,
  kWaiting,
  kDead,
  kPreempted,
};
inline constexpr int kGStatusCount = 7;

// Go's word for the state, as in its tracebacks.
const char* Name(GStatus status);

// Why a goroutine waits; shown in tracebacks in Go's words.
enum class WaitReason : std::uint8_t {
  kNone,
  kChanReceive,
  kChanSend,
  kChanReceiveNil,
  kChanSendNil,
  kSelect,
  kSleep,
  kMutexLock,
  kConditionWait,
  kWaitGroup,
  kSemaphore,
  kFuture,
  kIoWait,
  kStopped,  // preempted and kept stopped
};
const char* Name(WaitReason reason);

// Legal moves, one bit per target state.
constexpr std::uint32_t LegalTargets(GStatus from) {
  const auto bit = [](GStatus s) { return std::uint32_t{1} << static_cast<unsigned>(s); };
  switch (from) {
    case GStatus::kIdle:
      return bit(GStatus::kDead);
    case GStatus::kDead:
      return bit(GStatus::kRunnable);
    case GStatus::kRunnable:
      return bit(GStatus::kRunning);
    case GStatus::kRunning:
      return bit(GStatus::kRunnable) | bit(GStatus::kWaiting) | bit(GStatus::kSyscall) |
             bit(GStatus::kDead) | bit(GStatus::kPreempted);
    case GStatus::kSyscall:
      return bit(GStatus::kRunning) | bit(GStatus::kRunnable) | bit(GStatus::kWaiting);
    case GStatus::kWaiting:
      return bit(GStatus::kRunnable);
    case GStatus::kPreempted:
      return bit(GStatus::kRunnable);
  }
  return 0;
}

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_STATUS_H_

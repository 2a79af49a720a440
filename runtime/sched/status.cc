#include "runtime/sched/status.h"

namespace urge::sched {

const char* Name(GStatus status) {
  switch (status) {
    case GStatus::kIdle:
      return "idle";
    case GStatus::kRunnable:
      return "runnable";
    case GStatus::kRunning:
      return "running";
    case GStatus::kSyscall:
      return "syscall";
    case GStatus::kWaiting:
      return "waiting";
    case GStatus::kDead:
      return "dead";
    case GStatus::kPreempted:
      return "preempted";
  }
  return "?";
}

const char* Name(WaitReason reason) {
  switch (reason) {
    case WaitReason::kNone:
      return "waiting";
    case WaitReason::kChanReceive:
      return "chan receive";
    case WaitReason::kChanSend:
      return "chan send";
    case WaitReason::kChanReceiveNil:
      return "chan receive (nil chan)";
    case WaitReason::kChanSendNil:
      return "chan send (nil chan)";
    case WaitReason::kSelect:
      return "select";
    case WaitReason::kSleep:
      return "sleep";
    case WaitReason::kMutexLock:
      return "sync.mutex lock";
    case WaitReason::kConditionWait:
      return "sync.condition_variable wait";
    case WaitReason::kWaitGroup:
      return "sync.wait_group wait";
    case WaitReason::kSemaphore:
      return "semacquire";
    case WaitReason::kFuture:
      return "future get";
    case WaitReason::kIoWait:
      return "IO wait";
    case WaitReason::kStopped:
      return "preempted";
  }
  return "?";
}

}  // namespace urge::sched

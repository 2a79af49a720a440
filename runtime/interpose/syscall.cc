// syscall(2): libstdc++'s guard variables and atomic waits, Abseil, and others wait on a futex by
// it.
//
// The numbers that may block are known by a table; all others go to the kernel as they are. The
// result of an interrupted futex wait with a relative time limit is worked out as for poll.
//
// libc's own syscall() is no cancellation point and does nothing but this, so it isn't called.

#include <linux/futex.h>
#include <sys/syscall.h>

#include "runtime/interpose/limit.h"

#include <urge/detail/export.h>

namespace urge::interpose {
namespace {

using sched::M;
using sched::SyscallKind;

// The kernel's convention to libc's.
long Return(long result) {
  constexpr long kLastError = -4095;
  return result < 0 && result >= kLastError ? Fail(static_cast<int>(-result)) : result;
}

bool MayBlock(long number, long second) {
  switch (number) {
    case SYS_futex:
      switch (static_cast<int>(second) & FUTEX_CMD_MASK) {
        case FUTEX_WAIT:
        case FUTEX_WAIT_BITSET:
        case FUTEX_LOCK_PI:
        case FUTEX_WAIT_REQUEUE_PI:
#ifdef FUTEX_LOCK_PI2
        case FUTEX_LOCK_PI2:
#endif
          return true;
        default:
          return false;
      }
#ifdef SYS_futex_waitv
    case SYS_futex_waitv:
#endif
    case SYS_read:
    case SYS_pread64:
    case SYS_readv:
    case SYS_preadv:
    case SYS_write:
    case SYS_pwrite64:
    case SYS_writev:
    case SYS_pwritev:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
    case SYS_wait4:
    case SYS_waitid:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_flock:
    case SYS_pause:
    case SYS_rt_sigtimedwait:
    case SYS_rt_sigsuspend:
    case SYS_getrandom:
    case SYS_io_getevents:
#ifdef SYS_io_uring_enter
    case SYS_io_uring_enter:
#endif
      return true;
    default:
      return false;
  }
}

}  // namespace

extern "C" URGE_API long interposed_syscall(long number, long a, long b, long c, long d, long e,
                                            long f) __asm__("syscall");
// The ABI passes variable arguments of these types as it does named ones.
extern "C" long interposed_syscall(long number, long a, long b, long c, long d, long e, long f) {
  const auto call = [=](long fourth) {
    return Return(base::RawSyscall(number, a, b, c, fourth, e, f));
  };
  if (URGE_LIKELY(sched::CurrentM() == nullptr) || !MayBlock(number, b)) return call(d);
  M* m = URGE_GOROUTINE_M();
  if (m == nullptr) return call(d);
  // FUTEX_WAIT's is the only relative limit that is recomputed: for the others a caller of
  // syscall() is as near to the kernel as it wants to be.
  if (number == SYS_futex && (static_cast<int>(b) & FUTEX_CMD_MASK) == FUTEX_WAIT) {
    return BlockFor(m, reinterpret_cast<const timespec*>(d),
                    [=](const timespec* left) { return call(reinterpret_cast<long>(left)); });
  }
  return Block(m, SyscallKind::kShort, [=] { return call(d); });
}

}  // namespace urge::interpose

// Calls of libc that block the thread: from a goroutine they hand the P on. See goroutine.h.
//
// One table for all that needs nothing else; below it those with a time limit, which go on with
// what is left of it if a preemption signal cut them short.
//
// Not here, though it may block: what libc calls inside itself (stdio's reads and writes, say), for
// which sysmon's net is there (sysmon/stuck.h).

#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/interpose/libc.h"
#include "runtime/interpose/limit.h"
#include "runtime/interpose/turn.h"

namespace urge::interpose {
namespace {

using sched::M;
using sched::SyscallKind;

constexpr std::uint64_t kNsPerMs = 1'000'000;

}  // namespace

// Functions that return -1 and set errno, and may be called again after an EINTR.
#define URGE_BLOCKING(kind, result, name, parameters, arguments)               \
  URGE_INTERPOSE(result, name, parameters, arguments) {                        \
    M* m = URGE_GOROUTINE_M();                                                 \
    if (URGE_LIKELY(m == nullptr)) return libc_##name arguments;               \
    return Block(m, SyscallKind::kind, [=] { return libc_##name arguments; }); \
  }

// clang-format off
URGE_BLOCKING(kShort, ssize_t, read, (int fd, void* data, size_t n), (fd, data, n))
URGE_BLOCKING(kShort, ssize_t, pread, (int fd, void* data, size_t n, off_t at), (fd, data, n, at))
URGE_BLOCKING(kShort, ssize_t, pread64, (int fd, void* data, size_t n, off64_t at), (fd, data, n, at))
URGE_BLOCKING(kShort, ssize_t, readv, (int fd, const iovec* v, int n), (fd, v, n))
URGE_BLOCKING(kShort, ssize_t, preadv, (int fd, const iovec* v, int n, off_t at), (fd, v, n, at))
URGE_BLOCKING(kShort, ssize_t, preadv64, (int fd, const iovec* v, int n, off64_t at), (fd, v, n, at))
URGE_BLOCKING(kShort, ssize_t, preadv2, (int fd, const iovec* v, int n, off_t at, int flags), (fd, v, n, at, flags))
URGE_BLOCKING(kShort, ssize_t, write, (int fd, const void* data, size_t n), (fd, data, n))
URGE_BLOCKING(kShort, ssize_t, pwrite, (int fd, const void* data, size_t n, off_t at), (fd, data, n, at))
URGE_BLOCKING(kShort, ssize_t, pwrite64, (int fd, const void* data, size_t n, off64_t at), (fd, data, n, at))
URGE_BLOCKING(kShort, ssize_t, writev, (int fd, const iovec* v, int n), (fd, v, n))
URGE_BLOCKING(kShort, ssize_t, pwritev, (int fd, const iovec* v, int n, off_t at), (fd, v, n, at))
URGE_BLOCKING(kShort, ssize_t, pwritev64, (int fd, const iovec* v, int n, off64_t at), (fd, v, n, at))
URGE_BLOCKING(kShort, ssize_t, pwritev2, (int fd, const iovec* v, int n, off_t at, int flags), (fd, v, n, at, flags))
URGE_BLOCKING(kShort, ssize_t, recv, (int fd, void* data, size_t n, int flags), (fd, data, n, flags))
URGE_BLOCKING(kShort, ssize_t, recvfrom, (int fd, void* data, size_t n, int flags, sockaddr* from, socklen_t* size), (fd, data, n, flags, from, size))
URGE_BLOCKING(kShort, ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags))
URGE_BLOCKING(kShort, int, recvmmsg, (int fd, mmsghdr* messages, unsigned n, int flags, timespec* time), (fd, messages, n, flags, time))
URGE_BLOCKING(kShort, ssize_t, send, (int fd, const void* data, size_t n, int flags), (fd, data, n, flags))
URGE_BLOCKING(kShort, ssize_t, sendto, (int fd, const void* data, size_t n, int flags, const sockaddr* to, socklen_t size), (fd, data, n, flags, to, size))
URGE_BLOCKING(kShort, ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags))
URGE_BLOCKING(kShort, int, sendmmsg, (int fd, mmsghdr* messages, unsigned n, int flags), (fd, messages, n, flags))
URGE_BLOCKING(kShort, int, accept, (int fd, sockaddr* from, socklen_t* size), (fd, from, size))
URGE_BLOCKING(kShort, int, accept4, (int fd, sockaddr* from, socklen_t* size, int flags), (fd, from, size, flags))
URGE_BLOCKING(kShort, int, connect, (int fd, const sockaddr* to, socklen_t size), (fd, to, size))
URGE_BLOCKING(kShort, ssize_t, sendfile, (int out, int in, off_t* at, size_t n), (out, in, at, n))
URGE_BLOCKING(kShort, ssize_t, sendfile64, (int out, int in, off64_t* at, size_t n), (out, in, at, n))
URGE_BLOCKING(kShort, ssize_t, splice, (int in, off64_t* in_at, int out, off64_t* out_at, size_t n, unsigned flags), (in, in_at, out, out_at, n, flags))
URGE_BLOCKING(kShort, ssize_t, tee, (int in, int out, size_t n, unsigned flags), (in, out, n, flags))
URGE_BLOCKING(kShort, ssize_t, copy_file_range, (int in, off64_t* in_at, int out, off64_t* out_at, size_t n, unsigned flags), (in, in_at, out, out_at, n, flags))
URGE_BLOCKING(kShort, int, open, (const char* path, int flags, mode_t mode), (path, flags, mode))
URGE_BLOCKING(kShort, int, open64, (const char* path, int flags, mode_t mode), (path, flags, mode))
URGE_BLOCKING(kShort, int, openat, (int folder, const char* path, int flags, mode_t mode), (folder, path, flags, mode))
URGE_BLOCKING(kShort, int, openat64, (int folder, const char* path, int flags, mode_t mode), (folder, path, flags, mode))
URGE_BLOCKING(kShort, int, fcntl, (int fd, int command, void* argument), (fd, command, argument))
URGE_BLOCKING(kShort, int, fcntl64, (int fd, int command, void* argument), (fd, command, argument))
URGE_BLOCKING(kShort, int, flock, (int fd, int operation), (fd, operation))
URGE_BLOCKING(kShort, int, lockf, (int fd, int command, off_t n), (fd, command, n))
URGE_BLOCKING(kShort, int, lockf64, (int fd, int command, off64_t n), (fd, command, n))
URGE_BLOCKING(kShort, int, fsync, (int fd), (fd))
URGE_BLOCKING(kShort, int, fdatasync, (int fd), (fd))
URGE_BLOCKING(kShort, int, syncfs, (int fd), (fd))
URGE_BLOCKING(kShort, int, msync, (void* data, size_t n, int flags), (data, n, flags))
URGE_BLOCKING(kShort, int, tcdrain, (int fd), (fd))
URGE_BLOCKING(kShort, ssize_t, getrandom, (void* data, size_t n, unsigned flags), (data, n, flags))
URGE_BLOCKING(kShort, pid_t, wait, (int* status), (status))
URGE_BLOCKING(kShort, pid_t, waitpid, (pid_t child, int* status, int options), (child, status, options))
URGE_BLOCKING(kShort, int, waitid, (idtype_t type, id_t id, siginfo_t* info, int options), (type, id, info, options))
URGE_BLOCKING(kShort, pid_t, wait3, (int* status, int options, rusage* usage), (status, options, usage))
URGE_BLOCKING(kShort, pid_t, wait4, (pid_t child, int* status, int options, rusage* usage), (child, status, options, usage))
URGE_BLOCKING(kBlocks, int, pause, (), ())
URGE_BLOCKING(kBlocks, int, sigsuspend, (const sigset_t* mask), (mask))
URGE_BLOCKING(kBlocks, int, sigwaitinfo, (const sigset_t* set, siginfo_t* info), (set, info))
URGE_BLOCKING(kShort, int, semop, (int id, sembuf* operations, size_t n), (id, operations, n))
URGE_BLOCKING(kShort, int, msgsnd, (int id, const void* message, size_t n, int flags), (id, message, n, flags))
URGE_BLOCKING(kShort, ssize_t, msgrcv, (int id, void* message, size_t n, long type, int flags), (id, message, n, type, flags))
URGE_BLOCKING(kShort, int, mq_send, (mqd_t queue, const char* data, size_t n, unsigned priority), (queue, data, n, priority))
URGE_BLOCKING(kShort, ssize_t, mq_receive, (mqd_t queue, char* data, size_t n, unsigned* priority), (queue, data, n, priority))
URGE_BLOCKING(kShort, int, mq_timedsend, (mqd_t queue, const char* data, size_t n, unsigned priority, const timespec* when), (queue, data, n, priority, when))
URGE_BLOCKING(kShort, ssize_t, mq_timedreceive, (mqd_t queue, char* data, size_t n, unsigned* priority, const timespec* when), (queue, data, n, priority, when))

// Likewise, but never called again: they see to interruptions by themselves.
#define URGE_LONG(kind, result, name, parameters, arguments)                           \
  URGE_INTERPOSE(result, name, parameters, arguments) {                                \
    M* m = URGE_GOROUTINE_M();                                                         \
    if (URGE_LIKELY(m == nullptr)) return libc_##name arguments;                       \
    return InSyscall(m, SyscallKind::kind, [=] { return libc_##name arguments; });     \
  }

URGE_LONG(kBlocks, int, pthread_barrier_wait, (pthread_barrier_t* barrier), (barrier))
URGE_LONG(kBlocks, int, pthread_join, (pthread_t thread, void** result), (thread, result))
URGE_LONG(kBlocks, int, pthread_timedjoin_np, (pthread_t thread, void** result, const timespec* when), (thread, result, when))
URGE_LONG(kBlocks, int, pthread_clockjoin_np, (pthread_t thread, void** result, clockid_t clock, const timespec* when), (thread, result, clock, when))
URGE_LONG(kBlocks, int, sigwait, (const sigset_t* set, int* signal), (set, signal))
URGE_LONG(kBlocks, int, system, (const char* command), (command))
URGE_LONG(kBlocks, int, pclose, (FILE* stream), (stream))
URGE_LONG(kShort, FILE*, popen, (const char* command, const char* type), (command, type))
URGE_LONG(kShort, int, posix_spawn, (pid_t* child, const char* path, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment), (child, path, actions, attributes, arguments, environment))
URGE_LONG(kShort, int, posix_spawnp, (pid_t* child, const char* file, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment), (child, file, actions, attributes, arguments, environment))
URGE_LONG(kShort, int, getaddrinfo, (const char* node, const char* service, const addrinfo* hints, addrinfo** found), (node, service, hints, found))
URGE_LONG(kShort, int, getnameinfo, (const sockaddr* address, socklen_t size, char* host, socklen_t host_size, char* service, socklen_t service_size, int flags), (address, size, host, host_size, service, service_size, flags))
URGE_LONG(kShort, hostent*, gethostbyname, (const char* name), (name))
// clang-format on

// After an interruption the descriptor is closed, and may be another's by now: closing again is
// wrong, and of an interruption by us there is nothing to tell.
URGE_INTERPOSE(int, close, (int fd), (fd)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_close(fd);
  return InSyscall(m, SyscallKind::kShort, [=] {
    const int result = CallOnce(m, [=] { return libc_close(fd); });
    return WasInterrupted(result) && m->cut_short.load(std::memory_order_relaxed) ? 0 : result;
  });
}

// ---- With a time limit ----

namespace {

// call(milliseconds), a negative number meaning for ever.
template <class Call>
auto BlockForMs(M* m, int limit_ms, Call call) {
  if (limit_ms <= 0) return Block(m, SyscallKind::kShort, [&] { return call(limit_ms); });
  const Limit limit(static_cast<std::uint64_t>(limit_ms) * kNsPerMs);
  bool again = false;
  return Block(m, SyscallKind::kShort, [&] {
    // Rounded up: a time limit never ends early.
    const int left_ms = static_cast<int>((limit.LeftNs() + kNsPerMs - 1) / kNsPerMs);
    return call(std::exchange(again, true) ? left_ms : limit_ms);
  });
}

}  // namespace

URGE_INTERPOSE(int, poll, (pollfd * fds, nfds_t n, int limit_ms), (fds, n, limit_ms)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_poll(fds, n, limit_ms);
  return BlockForMs(m, limit_ms, [=](int left_ms) { return libc_poll(fds, n, left_ms); });
}

URGE_INTERPOSE(int, ppoll, (pollfd * fds, nfds_t n, const timespec* time, const sigset_t* mask),
               (fds, n, time, mask)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_ppoll(fds, n, time, mask);
  return BlockFor(m, time, [=](const timespec* left) { return libc_ppoll(fds, n, left, mask); });
}

// The kernel counts its time down in place, and leaves the sets alone when it is interrupted.
URGE_INTERPOSE(int, select, (int n, fd_set* in, fd_set* out, fd_set* except, timeval* time),
               (n, in, out, except, time)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_select(n, in, out, except, time);
  return Block(m, SyscallKind::kShort, [=] { return libc_select(n, in, out, except, time); });
}

URGE_INTERPOSE(int, pselect,
               (int n, fd_set* in, fd_set* out, fd_set* except, const timespec* time,
                const sigset_t* mask),
               (n, in, out, except, time, mask)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_pselect(n, in, out, except, time, mask);
  return BlockFor(
      m, time, [=](const timespec* left) { return libc_pselect(n, in, out, except, left, mask); });
}

URGE_INTERPOSE(int, epoll_wait, (int fd, epoll_event* events, int n, int limit_ms),
               (fd, events, n, limit_ms)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_epoll_wait(fd, events, n, limit_ms);
  return BlockForMs(m, limit_ms,
                    [=](int left_ms) { return libc_epoll_wait(fd, events, n, left_ms); });
}

URGE_INTERPOSE(int, epoll_pwait,
               (int fd, epoll_event* events, int n, int limit_ms, const sigset_t* mask),
               (fd, events, n, limit_ms, mask)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_epoll_pwait(fd, events, n, limit_ms, mask);
  return BlockForMs(m, limit_ms,
                    [=](int left_ms) { return libc_epoll_pwait(fd, events, n, left_ms, mask); });
}

URGE_INTERPOSE(int, epoll_pwait2,
               (int fd, epoll_event* events, int n, const timespec* time, const sigset_t* mask),
               (fd, events, n, time, mask)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_epoll_pwait2(fd, events, n, time, mask);
  return BlockFor(
      m, time, [=](const timespec* left) { return libc_epoll_pwait2(fd, events, n, left, mask); });
}

URGE_INTERPOSE(int, sigtimedwait, (const sigset_t* set, siginfo_t* info, const timespec* time),
               (set, info, time)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_sigtimedwait(set, info, time);
  return BlockFor(m, time,
                  [=](const timespec* left) { return libc_sigtimedwait(set, info, left); });
}

URGE_INTERPOSE(int, semtimedop, (int id, sembuf* operations, size_t n, const timespec* time),
               (id, operations, n, time)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_semtimedop(id, operations, n, time);
  return BlockFor(m, time,
                  [=](const timespec* left) { return libc_semtimedop(id, operations, n, left); });
}

// ---- Sleeping ----
//
// A sleeping goroutine keeps its thread, since these functions tell by errno what happened;
// urge::sleep_for doesn't, and costs no thread.

URGE_INTERPOSE(int, clock_nanosleep,
               (clockid_t clock, int flags, const timespec* time, timespec* left),
               (clock, flags, time, left)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_clock_nanosleep(clock, flags, time, left);
  // What is left of a relative time comes back from the kernel, here if the caller has no use for
  // it.
  const bool relative = (flags & TIMER_ABSTIME) == 0;
  timespec own_left;
  timespec* rest = relative && left == nullptr ? &own_left : left;
  timespec next;
  return InSyscall(m, SyscallKind::kBlocks, [&] {
    return Restarting(
        m,
        [&] {
          const int error = libc_clock_nanosleep(clock, flags, time, rest);
          if (error == EINTR && relative) {
            next = *rest;
            time = &next;
          }
          return error;
        },
        [](int error) { return error == EINTR; });
  });
}

// Sleeps in the calling goroutine; what is left if somebody's handler woke it.
timespec Sleep(M* m, timespec time) {
  timespec left{};
  InSyscall(m, SyscallKind::kBlocks, [&] {
    return Restarting(
        m,
        [&] {
          const int error = libc_clock_nanosleep(CLOCK_REALTIME, 0, &time, &left);
          if (error != EINTR) left = {};
          time = left;
          return error;
        },
        [](int error) { return error == EINTR; });
  });
  return left;
}

URGE_INTERPOSE(int, nanosleep, (const timespec* time, timespec* left), (time, left)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr) || time == nullptr || time->tv_sec < 0 || !IsValid(time)) {
    return libc_nanosleep(time, left);
  }
  const timespec rest = Sleep(m, *time);
  if (IsZero(rest)) return 0;
  if (left != nullptr) *left = rest;
  return Fail(EINTR);
}

URGE_INTERPOSE(int, usleep, (useconds_t us), (us)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_usleep(us);
  const timespec rest = Sleep(m, {us / 1'000'000, static_cast<long>(us % 1'000'000) * 1'000});
  return IsZero(rest) ? 0 : Fail(EINTR);
}

URGE_INTERPOSE(unsigned, sleep, (unsigned seconds), (seconds)) {
  M* m = URGE_GOROUTINE_M();
  if (URGE_LIKELY(m == nullptr)) return libc_sleep(seconds);
  const timespec rest = Sleep(m, {static_cast<time_t>(seconds), 0});
  // Rounded to the nearest second, as libc does.
  return static_cast<unsigned>(rest.tv_sec) + (rest.tv_nsec >= 500'000'000 ? 1 : 0);
}

}  // namespace urge::interpose

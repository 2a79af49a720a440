#include "runtime/base/os.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace urge::base {
namespace {

// Not by syscall(3): a lock of the runtime's must not come back to the scheduler.
long Futex(const std::atomic<std::uint32_t>* word, long op, std::uint32_t value,
           const timespec* timeout, long bits) {
  return RawSyscall(SYS_futex, reinterpret_cast<long>(word), op | FUTEX_PRIVATE_FLAG,
                    static_cast<long>(value), reinterpret_cast<long>(timeout), 0, bits);
}

}  // namespace

std::uint64_t NowNs() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(ts.tv_nsec);
}

int Gettid() { return static_cast<int>(syscall(SYS_gettid)); }

int StartDetachedThread(void* (*main)(void*), void* arg, const char* name) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, main, arg);
  if (error == 0 && name != nullptr) pthread_setname_np(thread, name);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

void FutexWait(const std::atomic<std::uint32_t>* word, std::uint32_t expected) {
  Futex(word, FUTEX_WAIT, expected, nullptr, 0);
}

bool FutexWaitUntil(const std::atomic<std::uint32_t>* word, std::uint32_t expected,
                    std::uint64_t deadline_ns) {
  if (deadline_ns == kNever) {
    FutexWait(word, expected);
    return true;
  }
  constexpr long kAnyBit = 0xffffffff;  // FUTEX_BITSET_MATCH_ANY
  // FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, so no time is lost in between.
  const timespec ts{static_cast<time_t>(deadline_ns / 1'000'000'000u),
                    static_cast<long>(deadline_ns % 1'000'000'000u)};
  return Futex(word, FUTEX_WAIT_BITSET, expected, &ts, kAnyBit) != -ETIMEDOUT;
}

void FutexWake(const std::atomic<std::uint32_t>* word, int count) {
  Futex(word, FUTEX_WAKE, static_cast<std::uint32_t>(count), nullptr, 0);
}

void Membarrier() { syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0); }

bool RegisterMembarrier() {
  return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

}  // namespace urge::base

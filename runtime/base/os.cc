#include "runtime/base/os.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace urge::base {
namespace {

// In place of syscall(3), which the runtime stands in for on goroutines: a lock of the runtime's
// must not come back to the scheduler. Leaves errno alone.
long Futex(const std::atomic<std::uint32_t>* word, long op, std::uint32_t value,
           const timespec* timeout, long bits) {
  long result = SYS_futex;
  register const timespec* r10 asm("r10") = timeout;
  register const void* r8 asm("r8") = nullptr;
  register long r9 asm("r9") = bits;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(word), "S"(op | FUTEX_PRIVATE_FLAG), "d"(static_cast<long>(value)), "r"(r10),
                 "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

}  // namespace

std::uint64_t NowNs() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(ts.tv_nsec);
}

int Gettid() { return static_cast<int>(syscall(SYS_gettid)); }

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

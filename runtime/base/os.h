// The operating system, as thin wrappers: clocks, futexes, membarrier, thread ids.

#ifndef URGE_RUNTIME_BASE_OS_H_
#define URGE_RUNTIME_BASE_OS_H_

#include <atomic>
#include <cstdint>

namespace urge::base {

inline constexpr std::uint64_t kNever = ~std::uint64_t{0};

// Nanoseconds of CLOCK_MONOTONIC (vDSO, about 23 ns). Signal-safe: yes.
std::uint64_t NowNs();

// The kernel's id of the calling thread. Signal-safe: yes.
int Gettid();

// The kernel's answer to a system call: a negative error number where libc has -1 and errno, which
// is left alone. In place of syscall(3), which the runtime stands in for on goroutines.
// Signal-safe: yes.
inline long RawSyscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                       long f = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

// Starts a detached thread with every signal blocked: until it opens its mask no handler runs
// there. With a name, which it has when this returns, it must never end. Returns pthread_create's
// error number.
int StartDetachedThread(void* (*main)(void*), void* arg, const char* name = nullptr);

// Sleeps while *word == expected, until a FutexWake or (Until) CLOCK_MONOTONIC reaches
// deadline_ns (kNever: no deadline). May return early for no reason, as futexes do; keeps errno.
void FutexWait(const std::atomic<std::uint32_t>* word, std::uint32_t expected);
// Returns false if the deadline has passed.
bool FutexWaitUntil(const std::atomic<std::uint32_t>* word, std::uint32_t expected,
                    std::uint64_t deadline_ns);
void FutexWake(const std::atomic<std::uint32_t>* word, int count);

// A barrier on every running thread of the process: whatever they stored before it is visible
// after it, and they see what the caller stored before it. This is the slow half of asymmetric
// Dekker protocols; the fast half needs only a compiler barrier. There is no fallback: where
// membarrier(2) is missing (before Linux 4.14), starting the runtime is refused with a clear error.
void Membarrier();
// Registers the process for Membarrier. False where the kernel has no such call.
bool RegisterMembarrier();

inline void CpuRelax() { __builtin_ia32_pause(); }
inline void CompilerBarrier() { asm volatile("" ::: "memory"); }

}  // namespace urge::base

#endif  // URGE_RUNTIME_BASE_OS_H_

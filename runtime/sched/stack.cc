#include "runtime/sched/stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "runtime/base/check.h"
#include "runtime/base/config.h"
#include "runtime/base/lock.h"
#include "runtime/base/print.h"

namespace urge::sched {
namespace {

using base::kPageBytes;

// Not in Debian 12's headers. Linux 6.13.
constexpr int kMadvGuardInstall = 102;

enum class GuardKind { kUnknown, kGuardInstall, kMprotect, kNone };

struct StackPool {
  base::RuntimeMutex lock{base::LockRank::kStacks};
  std::size_t standard_bytes = base::kStackBytes;
  // The rest of the newest slab.
  std::uintptr_t next = 0;
  std::uintptr_t end = 0;
  GuardKind guard = GuardKind::kUnknown;
};
constinit StackPool g_pool;

void* MapReserve(std::size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  // A huge page would commit 2 MiB at the first touch of a stack.
  madvise(p, bytes, MADV_NOHUGEPAGE);
  return p;
}

// Makes the page at `page` fault, by the best means that works here.
void InstallGuard(std::uintptr_t page) {
  void* p = reinterpret_cast<void*>(page);
  if (g_pool.guard == GuardKind::kUnknown || g_pool.guard == GuardKind::kGuardInstall) {
    if (madvise(p, kPageBytes, kMadvGuardInstall) == 0) {
      g_pool.guard = GuardKind::kGuardInstall;
      return;
    }
    // EINVAL: an older kernel, or locked memory (mlockall).
    g_pool.guard = GuardKind::kMprotect;
  }
  if (g_pool.guard == GuardKind::kMprotect) {
    if (mprotect(p, kPageBytes, PROT_NONE) == 0) return;
    g_pool.guard = GuardKind::kNone;
    base::RawPrint(STDERR_FILENO,
                   "urge: out of memory mappings: further goroutine stacks have no guard page "
                   "(raise vm.max_map_count)\n");
  }
}

}  // namespace

void SetStandardStackBytes(std::size_t bytes) {
  base::RuntimeLock lock(g_pool.lock);
  g_pool.standard_bytes = bytes;
}

std::size_t StandardStackBytes() { return g_pool.standard_bytes; }

StackSpan AllocateStack(std::size_t bytes) {
  const int saved_errno = errno;
  const std::size_t stride = bytes + kPageBytes;
  StackSpan span;
  base::RuntimeLock lock(g_pool.lock);
  if (bytes == g_pool.standard_bytes) {
    if (g_pool.end - g_pool.next < stride) {
      // A slab may be more than is left under a tight RLIMIT_AS: ask for less before giving up.
      for (std::size_t count = std::max<std::size_t>(1, base::kStackSlabBytes / stride); count > 0;
           count = count == 1 ? 0 : std::max<std::size_t>(1, count / 4)) {
        if (void* slab = MapReserve(count * stride)) {
          g_pool.next = reinterpret_cast<std::uintptr_t>(slab);
          g_pool.end = g_pool.next + count * stride;
          break;
        }
      }
    }
    if (g_pool.end - g_pool.next >= stride) {
      span = {g_pool.next + kPageBytes, g_pool.next + stride};
      g_pool.next += stride;
    }
  } else if (void* p = MapReserve(stride)) {
    const auto base = reinterpret_cast<std::uintptr_t>(p);
    span = {base + kPageBytes, base + stride};
  }
  if (!span.empty()) InstallGuard(span.lo - kPageBytes);
  errno = saved_errno;
  return span;
}

void FreeStack(StackSpan span) {
  munmap(reinterpret_cast<void*>(span.lo - kPageBytes), span.size() + kPageBytes);
}

void TrimStack(StackSpan span) {
  if (span.size() <= base::kStackKeepBytes) return;
  const int saved_errno = errno;
  const std::size_t deep_bytes = span.size() - base::kStackKeepBytes;
  // The deepest use is contiguous from the top in all but odd cases: if the first page under what
  // is kept was never touched, nothing deeper was.
  unsigned char resident = 0;
  auto* first = reinterpret_cast<void*>(span.lo + deep_bytes - kPageBytes);
  if (mincore(first, kPageBytes, &resident) != 0 || (resident & 1) != 0) {
    madvise(reinterpret_cast<void*>(span.lo), deep_bytes, MADV_DONTNEED);
  }
  errno = saved_errno;
}

bool InGuard(const StackSpan& span, std::uintptr_t address) {
  return address < span.lo && address >= span.lo - kPageBytes;
}

}  // namespace urge::sched

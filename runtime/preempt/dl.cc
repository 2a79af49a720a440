#include "runtime/preempt/dl.h"

#include <dlfcn.h>

#include <urge/detail/export.h>

#include <atomic>

#include "runtime/preempt/map.h"
#include "runtime/preempt/withdrawal.h"

namespace urge::preempt {
namespace {

using Dlclose = int (*)(void*);

// [a] Whoever comes first looks it up; all find the same.
constinit std::atomic<Dlclose> libc_dlclose{nullptr};

}  // namespace

int CloseHandle(void* handle) {
  Dlclose close = libc_dlclose.load(std::memory_order_relaxed);
  if (close == nullptr) {
    close = reinterpret_cast<Dlclose>(dlsym(RTLD_NEXT, "dlclose"));
    // A fully static program: nothing was ever loaded.
    if (close == nullptr) return -1;
    libc_dlclose.store(close, std::memory_order_relaxed);
  }
  return close(handle);
}

}  // namespace urge::preempt

using namespace urge::preempt;

extern "C" URGE_API int dlclose(void* handle) noexcept {
  if (!PreemptionMap::Published()) return CloseHandle(handle);
  const ModuleWithdrawal withdrawal{ModuleWithdrawal::Libraries{}};
  return CloseHandle(handle);
}

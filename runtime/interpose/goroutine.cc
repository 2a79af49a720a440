#include "runtime/interpose/goroutine.h"

#include "runtime/base/sanitizer.h"
#include "runtime/preempt/signal.h"

extern "C" {
[[gnu::weak, gnu::visibility("hidden")]] extern const char __start_urge_text[];
[[gnu::weak, gnu::visibility("hidden")]] extern const char __stop_urge_text[];
}

namespace urge::interpose {

using sched::G;
using sched::M;

bool IsRuntimeText(const void* pc) { return pc >= __start_urge_text && pc < __stop_urge_text; }

bool IsGoroutineCall(const M* m, const void* caller) {
  const G* gp = m->curg.load(std::memory_order_relaxed);
  if (gp == nullptr || gp->keeps_p != 0) return false;
  // The runtime holds locks and Ps, and knows what it calls.
  if (IsRuntimeText(caller)) return false;
  if (URGE_UNLIKELY(base::HasSanitizer()) && base::IsSanitizerText(caller)) return false;
  // A handler may have interrupted anything.
  return !preempt::OnSignalStack(m);
}

void BeginCall(M* m, sched::SyscallKind kind) {
  const int saved_errno = errno;
  sched::EnterSyscall(kind);
  if (kind == sched::SyscallKind::kBlocks) sched::HandOffSyscallP(m);
  errno = saved_errno;
}

void EndCall() {
  const int saved_errno = errno;
  sched::ExitSyscall();
  errno = saved_errno;  // the same thread's
}

void HoldThread() {
  M* m = sched::CurrentM();
  G* gp = m->curg.load(std::memory_order_relaxed);
  if (gp->locks_held++ == 0) sched::Wire(m, gp, sched::kWiredByLock);
}

void ReleaseThread() {
  M* m = sched::CurrentM();
  G* gp = m->curg.load(std::memory_order_relaxed);
  // 0: it was taken by a function that isn't stood in for.
  if (gp->locks_held == 0) return;
  if (--gp->locks_held == 0) sched::Unwire(m, gp, sched::kWiredByLock);
}

int Fail(int error) {
  errno = error;
  return -1;
}

}  // namespace urge::interpose

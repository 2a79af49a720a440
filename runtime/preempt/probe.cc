#include "runtime/preempt/probe.h"

#include <sys/syscall.h>

#include "asm/switch.h"
#include "runtime/preempt/signal.h"
#include "runtime/sched/current.h"
#include "runtime/sched/sched.h"

namespace urge::preempt {

using sched::G;
using sched::M;

namespace {

// The M that gp runs on, by what can be read without a lock; null if none.
M* FindM(const G* gp) {
  for (M* m = sched::g_sched.all_ms.load(std::memory_order_acquire); m != nullptr;
       m = m->all_next) {
    if (m->curg.load(std::memory_order_relaxed) == gp) return m;
  }
  return nullptr;
}

bool MayBeSignalled(const M* m, const G* gp) {
  return gp->blocking_depth == 0 || m->in_call.load(std::memory_order_relaxed);
}

}  // namespace

bool ProbeStack(const G* gp, std::uint64_t timeout_ns, StackProbe* probe) {
  M* m = FindM(gp);
  if (m == nullptr || m == sched::CurrentM() || !MayBeSignalled(m, gp)) return false;
  probe->wanted = gp;
  probe->done.store(false, std::memory_order_relaxed);
  StackProbe* none = nullptr;
  // release: pairs with AnswerProbe's acquire. Somebody else's probe is left alone.
  if (!m->probe.compare_exchange_strong(none, probe, std::memory_order_release)) return false;
  const std::uint64_t begin = base::NowNs();
  bool sent = TrySendPreemptSignal(m);
  // acquire: pairs with AnswerProbe's release.
  while (!probe->done.load(std::memory_order_acquire)) {
    const std::uint64_t waited = base::NowNs() - begin;
    if (waited >= timeout_ns) {
      StackProbe* mine = probe;
      if (m->probe.compare_exchange_strong(mine, nullptr, std::memory_order_relaxed)) return false;
      // The handler has it: it is done within the next few microseconds of its thread's time.
    }
    if (!sent) sent = TrySendPreemptSignal(m);
    // At first it is about to come; later its thread waits for a CPU.
    constexpr std::uint64_t kSpinNs = 200'000;
    constexpr timespec kNap{0, 200'000};
    if (waited < kSpinNs) {
      base::RawSyscall(SYS_sched_yield);
    } else {
      base::RawSyscall(SYS_nanosleep, reinterpret_cast<long>(&kNap), 0);
    }
  }
  return probe->seen;
}

void AnswerProbe(M* m, const G* gp, const ucontext_t& context) {
  if (URGE_LIKELY(m->probe.load(std::memory_order_relaxed) == nullptr)) return;
  // acquire: pairs with ProbeStack's release.
  StackProbe* probe = m->probe.exchange(nullptr, std::memory_order_acquire);
  if (probe == nullptr) return;
  const WalkStart start = RegistersOf(context);
  probe->frames = 0;
  probe->more = false;
  probe->seen = gp != nullptr && gp == probe->wanted;
  if (probe->seen && !gp->stack.Contains(start.rsp)) {
    probe->pcs[probe->frames++] = start.rip;
  } else if (probe->seen) {
    WalkFrames(start, gp->stack.lo, gp->stack.hi, kProbeFrames + 1, [probe](const Frame& frame) {
      probe->more = probe->frames == kProbeFrames;
      if (!probe->more) probe->pcs[probe->frames++] = frame.lookup_pc();
      return !probe->more;
    });
  }
  // release: pairs with ProbeStack's acquire; publishes the frames.
  probe->done.store(true, std::memory_order_release);
}

Registers RegistersOf(const ucontext_t& context) {
  const greg_t* from = context.uc_mcontext.gregs;
  const auto at = [from](int index) { return static_cast<std::uint64_t>(from[index]); };
  return {at(REG_RAX), at(REG_RDX), at(REG_RCX), at(REG_RBX), at(REG_RSI), at(REG_RDI),
          at(REG_RBP), at(REG_RSP), at(REG_R8),  at(REG_R9),  at(REG_R10), at(REG_R11),
          at(REG_R12), at(REG_R13), at(REG_R14), at(REG_R15), at(REG_RIP)};
}

WalkStart StartOfParked(const G* gp) {
  const auto* frame = static_cast<const urge_context_frame*>(gp->sp);
  WalkStart start{};
  start.rip = frame->pc;
  start.rsp = reinterpret_cast<std::uintptr_t>(gp->sp) + sizeof(urge_context_frame);
  start.rbp = frame->rbp;
  start.rbx = frame->rbx;
  start.r12 = frame->r12;
  start.r13 = frame->r13;
  start.r14 = frame->r14;
  start.r15 = frame->r15;
  return start;
}

}  // namespace urge::preempt

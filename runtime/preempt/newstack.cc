// The prologue hook's C++ half: what __morestack calls, and what inline checkpoints call.
//
//  1. Not a goroutine's own stack (a plain thread, g0, a handler on the alternate stack, a foreign
//     coroutine, a forked child): nothing is done, the function goes on.
//  2. A request is pending: the goroutine is switched off, or the true guard put back where that
//     isn't allowed.
//  3. No request: the mark was meant for another goroutine (see request.h); the true guard is put
//     back. With URGE_DEBUG=preemptprologue=1 each guard is a mark, and whoever comes here asks
//     itself to stop: every prologue that may be stopped at is.
//  4. The stack is really short of room: the goroutine has run away; report and end. This is where
//     growth by segments fits in: by returning the top of a new segment, which __morestack then
//     runs the function on, and urge_oldstack to leave it again.
//
// Source: Go's newstack.

#include <unistd.h>

#include <urge/preempt.h>

#include "asm/morestack.h"
#include "runtime/base/ticks.h"
#include "runtime/preempt/overflow.h"
#include "runtime/preempt/request.h"
#include "runtime/sched/park.h"
#include "runtime/sched/switch.h"

namespace urge::preempt {

constinit StackOverflowHook g_stack_overflow_hook = nullptr;

namespace {

// The M if the caller runs on its current goroutine's own stack. (In a forked child there are no
// Ms; vfork is fork, see below.)
sched::M* OwnM(std::uintptr_t sp) {
  sched::M* m = sched::CurrentM();
  if (m == nullptr) return nullptr;
  const sched::G* gp = m->curg.load(std::memory_order_relaxed);
  __builtin_prefetch(&gp->preempt);  // which a requester has written and the caller wants next
  return gp != nullptr && gp->stack.Contains(sp) ? m : nullptr;
}

// Switches the goroutine off if it is asked to stop and may be; otherwise puts the true guard back,
// and leaves the request pending. Its own code has stopped at stopped_ticks.
void Answer(sched::M* m, std::uint64_t stopped_ticks) {
  sched::G* gp = m->curg.load(std::memory_order_relaxed);
  sched::P* p = m->p;
  if (URGE_UNLIKELY(sched::g_sched.settings.preempt_prologues) && p != nullptr &&
      gp->no_preempt == 0) {
    NoteRequest(m, p, gp, sched::PreemptReason::kSlice, stopped_ticks, stopped_ticks);
  }
  if (URGE_LIKELY(gp->preempt.load(std::memory_order_acquire))) {
    if (p == nullptr || gp->status.load(std::memory_order_relaxed) != sched::GStatus::kRunning) {
      if (p != nullptr) NoteDeferral(m, gp, trace::Counter::kDeferNotWanted, stopped_ticks);
    } else if (gp->no_preempt != 0) {
      NoteDeferral(m, gp, trace::Counter::kDeferNoPreempt, stopped_ticks);
    } else {
      m->stopped_ticks = stopped_ticks;
      SwitchOffPreempted(m, gp, /*by_signal=*/false);
      return;
    }
  }
  const std::uintptr_t guard = sched::GuardAtRest(gp);
  gp->guard.store(guard, std::memory_order_relaxed);
  sched::SetGuardWord(guard);
}

[[noreturn]] void Overflow(sched::G* gp) {
  if (g_stack_overflow_hook != nullptr) g_stack_overflow_hook(gp, gp->stack.size());
  base::Fatal("stack overflow");
}

}  // namespace
}  // namespace urge::preempt

using namespace urge;

extern "C" void* urge_newstack(urge_morestack_args* args) {
  sched::M* m = preempt::OwnM(args->sp_at_entry);
  if (m == nullptr) return nullptr;
  sched::G* gp = m->curg.load(std::memory_order_relaxed);
  preempt::Answer(m, args->ticks);
  if (args->sp_at_entry < gp->true_guard || args->sp_at_entry - gp->true_guard < args->frame_size) {
    preempt::Overflow(gp);
  }
  return nullptr;
}

extern "C" void urge_oldstack() {}

// A vfork child shares the guard word and the scheduler's memory with its parent: a mark meant for
// the parent's goroutine would switch the child off. So vfork is fork, whose child has no Ms.
extern "C" URGE_API pid_t vfork() noexcept { return fork(); }

extern "C" void* urge_stackspace(std::size_t size, std::uint64_t sp) {
  sched::M* m = preempt::OwnM(sp);
  if (m == nullptr) return nullptr;
  sched::G* gp = m->curg.load(std::memory_order_relaxed);
  // The block itself is in the red: what it needs must leave uninstrumented callees half a reserve.
  const std::uintptr_t floor = gp->stack.lo + (gp->true_guard - gp->stack.lo) / 2;
  if (sp < floor || sp - floor < size) preempt::Overflow(gp);
  return nullptr;
}

namespace urge::detail {

void checkpoint_slow() noexcept {
  sched::M* m = preempt::OwnM(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
  if (m != nullptr) preempt::Answer(m, base::Ticks());
}

void no_preempt_enter() noexcept {
  if (sched::G* gp = sched::CurrentG()) {
    ++gp->no_preempt;
    gp->marked_by_use = true;
  }
}

void no_preempt_leave() noexcept {
  sched::G* gp = sched::CurrentG();
  if (gp == nullptr || gp->no_preempt == 0) return;
  // A request that came meanwhile is served now.
  if (--gp->no_preempt == 0 && gp->preempt.load(std::memory_order_relaxed)) checkpoint_slow();
}

}  // namespace urge::detail

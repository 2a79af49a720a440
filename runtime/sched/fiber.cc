#include "runtime/sched/fiber.h"

#include "asm/switch.h"
#include "runtime/base/sanitizer.h"
#include "runtime/sched/g.h"
#include "runtime/sched/m.h"

namespace urge::sched {
namespace {

// TSan's flag for a switch that orders nothing.
constexpr unsigned kNoSync = 1;
constexpr unsigned kSwitchFlags = base::kBuiltWithTsan ? 0 : kNoSync;

struct Departure {
  M* m;
  G* from;
  G* to;
  void (*after)(void*);
  void* arg;
};

Fiber& FiberOf(M* m, G* gp) { return gp == nullptr ? m->fiber : gp->fiber; }

void Unmake(G* gp) {
  if (base::HasTsan()) {
    __tsan_destroy_fiber(gp->fiber.tsan_fiber);
    // What is about to be freed with it was its own.
    base::AnnotateAcquire(gp);
  }
  if (base::HasAsan()) {
    __asan_unpoison_memory_region(gp->sp, gp->stack.hi - reinterpret_cast<std::uintptr_t>(gp->sp));
  }
  if (base::HasLsan()) {
    __lsan_unregister_root_region(reinterpret_cast<void*>(gp->stack.lo), gp->stack.size());
  }
  if (base::HasValgrind()) {
    base::DeregisterStackWithValgrind(gp->fiber.valgrind_id, gp->stack.lo, gp->stack.hi);
  }
  gp->fiber = Fiber();
}

void Arrive(void* p) {
  // Copied first: it lies on the old stack, which `after` gives away.
  const Departure left = *static_cast<Departure*>(p);
  if (base::HasAsan()) {
    const void* bottom;
    std::size_t size;
    __sanitizer_finish_switch_fiber(FiberOf(left.m, left.to).fake_stack, &bottom, &size);
    if (left.from == nullptr) {
      left.m->fiber.bottom = bottom;
      left.m->fiber.size = size;
    }
  }
  if (left.from != nullptr && left.from->fiber.ends) Unmake(left.from);
  if (left.after != nullptr) left.after(left.arg);
}

}  // namespace

void AnnouncedSwitch(M* m, G* from, G* to, void (*after)(void*), void* arg) {
  Departure departure{m, from, to, after, arg};
  Fiber& old = FiberOf(m, from);
  Fiber& next = FiberOf(m, to);
  if (base::HasTsan()) {
    if (from == nullptr) old.tsan_fiber = __tsan_get_current_fiber();
    // Whoever gets the G and its stack next is no race.
    if (old.ends) base::AnnotateRelease(from);
    __tsan_switch_to_fiber(next.tsan_fiber, kSwitchFlags);
  }
  if (base::HasAsan()) {
    const void* bottom = to == nullptr ? next.bottom : reinterpret_cast<void*>(to->stack.lo);
    const std::size_t size = to == nullptr ? next.size : to->stack.size();
    __sanitizer_start_switch_fiber(old.ends ? nullptr : &old.fake_stack, bottom, size);
  }
  urge_switch(from == nullptr ? &m->g0_sp : &from->sp, to == nullptr ? m->g0_sp : to->sp, Arrive,
              &departure);
}

void AnnounceNewSlow(G* gp) {
  if (base::HasTsan()) gp->fiber.tsan_fiber = __tsan_create_fiber(0);
  if (base::HasLsan()) {
    __lsan_register_root_region(reinterpret_cast<void*>(gp->stack.lo), gp->stack.size());
  }
  if (base::HasValgrind()) {
    gp->fiber.valgrind_id = base::RegisterStackWithValgrind(gp->stack.lo, gp->stack.hi);
  }
}

}  // namespace urge::sched

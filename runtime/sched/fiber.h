// What the sanitizers know of one stack that runs code: a goroutine's, or an M's own (g0).
//
// To them a thread that takes another stack is a "fiber". Only where one of them is in the process
// (base/sanitizer.h) does a switch make the detour over AnnouncedSwitch:
//
//  1. On the old stack: start_switch_fiber names the new stack to ASan and puts the old one's fake
//     stack (the frames it keeps for finding uses after return) aside in its Fiber; a null place
//     for it means that the old stack's owner has ended. switch_to_fiber is TSan's.
//  2. urge_switch, with Arrive as `after`, so that it runs first thing on the new stack, be it
//     fresh or not.
//  3. On the new stack: finish_switch_fiber takes that one's fake stack up again. Then follows the
//     `after` that the caller asked for.
//
// Invariants
//  - Between 1 and 3 no code of a user's runs, nothing is thrown, and nobody is preempted.
//  - A goroutine's fiber is made by its spawner, so that what he did before is known to have
//    happened before; it is unmade once another stack runs.
//  - The stack of a live goroutine is a place where LeakSanitizer looks for pointers; not that of a
//    dead one, which is full of old ones.
//  - A stack that was left for good is unpoisoned before another goroutine gets it: the frames of
//    its end never returned, so nobody has cleared their red zones.
//
// Order between goroutines: built with TSan (make tsan), the runtime lets a switch itself order
// what comes after what came before, as its thread does. Linked into an instrumented program it
// does not: races of goroutines are then found even on one processor, and what the runtime does
// order is annotated where it is done.

#ifndef URGE_RUNTIME_SCHED_FIBER_H_
#define URGE_RUNTIME_SCHED_FIBER_H_

#include <cstddef>

#include "runtime/base/sanitizer.h"

namespace urge::sched {

struct G;
struct M;

struct Fiber {
  void* fake_stack = nullptr;    // ASan's, while it runs nowhere
  void* tsan_fiber = nullptr;    // of g0: the thread's own
  const void* bottom = nullptr;  // of g0 only: a G knows its stack; found when it is left
  std::size_t size = 0;
  unsigned valgrind_id = 0;
  bool ends = false;  // it is about to be left for good
};

// As urge_switch from `from` to `to`, either of which is g0 where null.
void AnnouncedSwitch(M* m, G* from, G* to, void (*after)(void*), void* arg);

// The goroutine is about to run for the first time. Runs on: its spawner.
void AnnounceNewSlow(G* gp);
inline void AnnounceNew(G* gp) {
  if (URGE_UNLIKELY(base::HasSanitizer())) AnnounceNewSlow(gp);
}

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_FIBER_H_

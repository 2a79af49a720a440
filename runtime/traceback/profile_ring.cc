#include "runtime/traceback/profile_ring.h"

#include <cstring>

#include "runtime/preempt/cfi.h"
#include "runtime/preempt/probe.h"

namespace urge::traceback {

using sched::G;

bool TakeSample(ProfileRing* ring, const G* gp, std::uint64_t weight, const ucontext_t& context) {
  const std::uint32_t head = ring->head.load(std::memory_order_relaxed);
  // acquire: pairs with EmptyRing's release.
  const std::uint32_t used = head - ring->tail.load(std::memory_order_acquire);
  if (used == kRingSamples) {
    ring->lost.fetch_add(weight, std::memory_order_relaxed);
    return true;
  }
  Sample& sample = ring->samples[head % kRingSamples];
  const preempt::Registers start = preempt::RegistersOf(context);
  sample.goid = gp == nullptr ? 0 : gp->goid;
  sample.weight = weight;
  sample.more = false;
  sample.frames = 0;
  sample.go_pc = 0;
  if (gp != nullptr) {
    sample.go_pc = gp->go_pc;
    sample.labels = gp->labels;  // the place's former reference is gone: nothing is freed here
    std::memcpy(sample.name, gp->name, sizeof(sample.name));
    sample.name[sizeof(sample.name) - 1] = 0;
  }
  if (gp != nullptr && gp->stack.Contains(start.rsp)) {
    preempt::WalkFrames(start, gp->stack.lo, gp->stack.hi, kProfileFrames + 1,
                        [&sample](const preempt::Frame& frame) {
                          sample.more = sample.frames == kProfileFrames;
                          if (!sample.more) sample.pcs[sample.frames++] = frame.lookup_pc();
                          return !sample.more;
                        });
  } else {
    // On the scheduler's stack, or a foreign one: its bounds aren't known.
    sample.pcs[sample.frames++] = start.rip;
  }
  // release: pairs with EmptyRing's acquire; publishes the sample.
  ring->head.store(head + 1, std::memory_order_release);
  return used + 1 >= kRingSamples / 2;
}

}  // namespace urge::traceback

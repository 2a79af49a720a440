// Samples of one thread, from the handler of its timer's signal to whoever collects them.
//
//  1. TakeSample, in the handler on the thread itself, walks the interrupted stack into the next
//     free place of the M's ring. One producer, one consumer, no lock. Without a free place the
//     sample is counted as lost.
//  2. From half full on the consumer is rung for: nothing polls.
//
// A sample's labels are a counted reference, so it may outlive its goroutine.

#ifndef URGE_RUNTIME_TRACEBACK_PROFILE_RING_H_
#define URGE_RUNTIME_TRACEBACK_PROFILE_RING_H_

#include <sys/ucontext.h>

#include <atomic>
#include <cstdint>

#include "runtime/sched/m.h"

namespace urge::traceback {

inline constexpr int kProfileFrames = 127;
inline constexpr std::uint32_t kRingSamples = 64;  // a power of two

struct Sample {
  std::uint64_t goid = 0;    // 0: the scheduler
  std::uint64_t weight = 1;  // more if the timer ran out several times before it was served
  std::uintptr_t go_pc = 0;
  sched::LabelRef labels;
  char name[32] = {};
  bool more = false;  // further frames outside
  int frames = 0;
  std::uintptr_t pcs[kProfileFrames];  // as Frame::lookup_pc, innermost first
};

struct ProfileRing {
  std::atomic<std::uint32_t> head{0};  // [m] samples put in
  std::atomic<std::uint32_t> tail{0};  // [consumer] samples taken out
  std::atomic<std::uint64_t> lost{0};
  int timer = -1;  // [mark_lock of the M] the kernel's, -1: none
  Sample samples[kRingSamples];
};

// Returns whether to ring for the consumer. Signal-safe: yes, on the ring's own thread.
bool TakeSample(ProfileRing* ring, const sched::G* gp, std::uint64_t weight,
                const ucontext_t& context);

// Calls visit(Sample&) for what is in the ring, and empties it. One thread at a time.
template <class Visit>
void EmptyRing(ProfileRing* ring, Visit visit) {
  std::uint32_t tail = ring->tail.load(std::memory_order_relaxed);
  // acquire: pairs with TakeSample's release of head; the samples are complete.
  const std::uint32_t head = ring->head.load(std::memory_order_acquire);
  for (; tail != head; ++tail) {
    Sample& sample = ring->samples[tail % kRingSamples];
    visit(sample);
    sample.labels = {};
    // release: pairs with TakeSample's acquire of tail; the place is free.
    ring->tail.store(tail + 1, std::memory_order_release);
  }
}

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_PROFILE_RING_H_

// SliceMeter: how much processor time a goroutine gets, and in what portions, seen from inside.
//
//  1. The goroutine calls Touch() every few tens of microseconds. Touch reads the time stamp
//     counter and is inline: a loop around it stays free of calls.
//  2. The time between two touches is the goroutine's own if it is short. If it is longer than
//     `pause`, the goroutine was off its processor meanwhile, and as much of it is its own as lay
//     between the two touches before.
//  3. A pause of at least `slice_gap` ends a slice: the time since the end of the pause before is
//     one slice, the pause is one wait. A shorter pause (a ticker that ran in between, a few
//     hundred microseconds stolen by the kernel) interrupts a slice and doesn't end it.
//
// So slices and processor time are right on average, and a slice by itself to about an interval of
// touches. The meter knows nothing of the runtime that it judges.

#ifndef URGE_STRESS_COMMON_SLICE_METER_H_
#define URGE_STRESS_COMMON_SLICE_METER_H_

#include <atomic>
#include <cstdint>

#include "stress/common/clock.h"
#include "stress/common/stats.h"

namespace stress {

class SliceMeter {
 public:
  struct Thresholds {
    std::uint64_t pause_ticks;
    std::uint64_t slice_gap_ticks;
  };

  explicit SliceMeter(Thresholds thresholds) : thresholds_(thresholds) {}
  SliceMeter(const SliceMeter&) = delete;
  SliceMeter& operator=(const SliceMeter&) = delete;

  // From Ready the goroutine could run, from Start it does; in between lies its first wait.
  void Ready() { last_ = ReadTicks(); }
  void Start() {
    const std::uint64_t now = ReadTicks();
    NoteWait(now - last_);
    slice_start_ = last_ = now;
  }

  void Touch() { Touch(ReadTicks()); }
  void Touch(std::uint64_t now) {
    const std::uint64_t gap = now - last_;
    if (__builtin_expect(gap <= thresholds_.pause_ticks, 1)) {
      last_gap_ = gap;
      Use(gap);
    } else {
      Paused(now);
    }
    last_ = now;
  }

  // At the end of the measurement, by whoever has waited for the goroutine to end.
  // A goroutine that didn't get to run any more waits until `end_ticks`.
  void Finish(std::uint64_t end_ticks) {
    if (last_ < end_ticks) NoteWait(end_ticks - last_);
  }

  std::uint64_t cpu_ticks() const { return cpu_ticks_.load(std::memory_order_relaxed); }
  // After the goroutine has ended.
  const Samples& slices() const { return slices_; }
  const Samples& pauses() const { return pauses_; }
  std::uint64_t longest_wait_ticks() const { return longest_wait_; }

 private:
  [[gnu::noinline, gnu::cold]] void Paused(std::uint64_t now) {
    // Two cores' counters may differ by a little after a migration.
    if (now < last_) return;
    pauses_.Add(now - last_);
    NoteWait(now - last_);
    Use(last_gap_);
    if (now - last_ < thresholds_.slice_gap_ticks) return;
    slices_.Add(last_ + last_gap_ - slice_start_);
    slice_start_ = now;
  }
  void Use(std::uint64_t ticks) {
    // Relaxed: a statistic that others read while it grows; one writer.
    cpu_ticks_.store(cpu_ticks_.load(std::memory_order_relaxed) + ticks, std::memory_order_relaxed);
  }
  void NoteWait(std::uint64_t ticks) {
    if (ticks > longest_wait_) longest_wait_ = ticks;
  }

  const Thresholds thresholds_;
  std::uint64_t last_ = 0;
  std::uint64_t last_gap_ = 0;
  std::uint64_t slice_start_ = 0;
  std::atomic<std::uint64_t> cpu_ticks_{0};
  std::uint64_t longest_wait_ = 0;
  Samples slices_;
  Samples pauses_;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_SLICE_METER_H_

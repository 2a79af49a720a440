// Hogs: CPU-bound work of many kinds that never cooperates.
//
//  1. MakeHogKind prepares a kind once, on a plain thread: it computes the results that the work
//     must have, from the input file where the kind needs one.
//  2. HogKind::Work does the work over and over until the run is stopped, on any number of
//     goroutines (or threads) at once. It touches the run's meter every few tens of microseconds
//     and compares every result with the expected one.
//
// Work never yields, sleeps, blocks or calls the runtime.

#ifndef URGE_STRESS_COMMON_HOG_H_
#define URGE_STRESS_COMMON_HOG_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "stress/common/slice_meter.h"

namespace stress {

// What one hog has of its run.
class HogRun {
 public:
  HogRun(const std::atomic<bool>& stop, SliceMeter::Thresholds thresholds)
      : stop_(stop), meter_(thresholds) {}

  // To be asked every few tens of microseconds of work; inline and free of calls.
  bool Continue() {
    meter_.Touch();
    // Relaxed: a statistic that others read while it grows; one writer.
    work_.store(work_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return !stop_.load(std::memory_order_relaxed);
  }
  // Compares one result with what it must be. False ends the hog: a result was wrong.
  bool Verify(bool right, std::string_view what);

  SliceMeter& meter() { return meter_; }
  const SliceMeter& meter() const { return meter_; }
  // How much was done, in portions of the kind's; at any time.
  std::uint64_t work() const { return work_.load(std::memory_order_relaxed); }
  bool stopped() const { return stop_.load(std::memory_order_relaxed); }

  // After the hog has ended.
  std::uint64_t verified() const { return verified_; }
  const std::string& failure() const { return failure_; }

 private:
  const std::atomic<bool>& stop_;
  SliceMeter meter_;
  std::atomic<std::uint64_t> work_{0};
  std::uint64_t verified_ = 0;
  std::string failure_;
};

class HogKind {
 public:
  virtual ~HogKind() = default;
  // Works until run.Continue() is false.
  virtual void Work(HogRun& run) const = 0;
  // More about what was chosen at run time; empty if nothing was.
  virtual std::string Detail() const { return {}; }
};

struct HogKindInfo {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<HogKind> (*make)(std::string_view input);
  bool has_prologues = false;  // compiled with -fsplit-stack
};

// All kinds, in the order in which they are reported.
std::span<const HogKindInfo> HogKinds();
const HogKindInfo* FindHogKind(std::string_view name);

// How many ticks may lie between two touches of a kind without meaning a pause: twice the 99th
// percentile of a short run on the calling thread, between 20 and 500 us.
// Errors: std::runtime_error if a result is wrong.
std::uint64_t CalibratePause(const HogKind& kind);

// One per kind; see the files of the same names.
std::unique_ptr<HogKind> MakeLoopHog(std::string_view input);
std::unique_ptr<HogKind> MakeRecursionHog(std::string_view input);
std::unique_ptr<HogKind> MakeLibmHog(std::string_view input);
std::unique_ptr<HogKind> MakeAvxHog(std::string_view input);
std::unique_ptr<HogKind> MakeMapHog(std::string_view input);
std::unique_ptr<HogKind> MakeZlibHog(std::string_view input);
std::unique_ptr<HogKind> MakeSha256Hog(std::string_view input);
std::unique_ptr<HogKind> MakeRegexHog(std::string_view input);

}  // namespace stress

#endif  // URGE_STRESS_COMMON_HOG_H_

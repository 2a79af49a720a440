// Histogram: how often a latency fell into each of 1152 log-linear buckets.
//
//  1. Values below 64 ns have a bucket each. Above, every power of two is cut into 32 buckets of
//     equal width, so a bucket is at most 1/32 of its values wide, and its middle is within 1.6 %
//     of each of them. Values of 2^40 ns (18 min) and more share the last bucket.
//  2. Record is an index computation and three plain memory operations (owned_counter.h): no
//  allocation, no
//     lock, a few nanoseconds. One writer; see Record and RecordShared.
//  3. Readers copy the buckets into a HistogramSnapshot at any time. A copy that races with a
//     Record may lack it in part; the count that a snapshot reports is the sum of its buckets, so
//     quantiles are consistent in themselves.
//
// Rejected: t-digests and reservoirs (allocation, branches, no exact tail); HDR's own code (heap,
// configurable layout).  Source: the bucket layout of HdrHistogram.

#ifndef URGE_RUNTIME_TRACE_HISTOGRAM_H_
#define URGE_RUNTIME_TRACE_HISTOGRAM_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "runtime/trace/owned_counter.h"

namespace urge::trace {

// The layout of the buckets.
struct HistogramBuckets {
  static constexpr int kSubBits = 5;   // 32 buckets for each power of two
  static constexpr int kTopBits = 40;  // values below 2^40 are told apart
  static constexpr std::size_t kSubBuckets = std::size_t{1} << kSubBits;
  static constexpr std::size_t kCount = (kTopBits - kSubBits + 1) * kSubBuckets;
  static constexpr std::uint64_t kLargest = (std::uint64_t{1} << kTopBits) - 1;

  static constexpr std::size_t IndexOf(std::uint64_t value) {
    if (value > kLargest) value = kLargest;
    if (value < kSubBuckets) return value;
    const int shift = std::bit_width(value) - 1 - kSubBits;
    return static_cast<std::size_t>(shift) * kSubBuckets + (value >> shift);
  }
  // The smallest value of a bucket, and how many values it holds.
  static constexpr std::uint64_t LowerBound(std::size_t index) {
    const std::uint64_t shift = Shift(index);
    return (index - shift * kSubBuckets) << shift;
  }
  static constexpr std::uint64_t Width(std::size_t index) {
    return std::uint64_t{1} << Shift(index);
  }

 private:
  static constexpr std::uint64_t Shift(std::size_t index) {
    return index < 2 * kSubBuckets ? 0 : index / kSubBuckets - 1;
  }
};

// A copy of a histogram, or the sum of several. Not safe for concurrent use.
struct HistogramSnapshot {
  std::array<std::uint64_t, HistogramBuckets::kCount> buckets{};
  std::uint64_t sum_ns = 0;
  std::uint64_t max_ns = 0;

  std::uint64_t Count() const;
  double MeanNs() const;  // 0 when empty
  // The value that a share q of all values doesn't exceed, within 1.6 %; q = 1 gives the exact
  // maximum. 0 when empty.  Requires: 0 <= q <= 1.
  std::uint64_t QuantileNs(double q) const;
  std::uint64_t MaxNs() const { return max_ns; }

  void Merge(const HistogramSnapshot& other);
};

class Histogram {
 public:
  // Runs on: the owner (G, g0, handler). Signal-safe: yes.
  void Record(std::uint64_t value_ns) {
    buckets_[HistogramBuckets::IndexOf(value_ns)].Add(1);
    sum_ns_.Add(value_ns);
    max_ns_.RaiseTo(value_ns);
  }
  // For a histogram without an owner.  Runs on: any thread. Signal-safe: yes.
  void RecordShared(std::uint64_t value_ns) {
    buckets_[HistogramBuckets::IndexOf(value_ns)].AddShared(1);
    sum_ns_.AddShared(value_ns);
    max_ns_.RaiseSharedTo(value_ns);
  }

  // Adds what has been recorded so far to `to`.  Runs on: any thread.
  void AddTo(HistogramSnapshot& to) const;

 private:
  std::array<OwnedCounter, HistogramBuckets::kCount> buckets_;
  OwnedCounter sum_ns_;
  OwnedCounter max_ns_;
};

}  // namespace urge::trace

#endif  // URGE_RUNTIME_TRACE_HISTOGRAM_H_

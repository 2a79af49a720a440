// Histograms: the bucket layout, the error bound, quantiles, merging, concurrent reading.

#include "runtime/trace/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

namespace urge::trace {
namespace {

using Buckets = HistogramBuckets;

HistogramSnapshot SnapshotOf(const Histogram& histogram) {
  HistogramSnapshot snapshot;
  histogram.AddTo(snapshot);
  return snapshot;
}

TEST(HistogramBuckets, CoverAllValuesWithoutGaps) {
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < Buckets::kCount; ++i) {
    ASSERT_EQ(Buckets::LowerBound(i), next) << "bucket " << i;
    ASSERT_EQ(Buckets::IndexOf(next), i);
    next += Buckets::Width(i);
    ASSERT_EQ(Buckets::IndexOf(next - 1), i);
  }
  EXPECT_EQ(next, Buckets::kLargest + 1);
  EXPECT_EQ(Buckets::IndexOf(~std::uint64_t{0}), Buckets::kCount - 1);
}

TEST(HistogramBuckets, AreAtMostThreePercentWide) {
  for (std::size_t i = 2 * Buckets::kSubBuckets; i < Buckets::kCount; ++i) {
    ASSERT_LE(Buckets::Width(i) * Buckets::kSubBuckets, Buckets::LowerBound(i)) << "bucket " << i;
  }
}

TEST(Histogram, EmptyOneReportsZeros) {
  const HistogramSnapshot empty;
  EXPECT_EQ(empty.Count(), 0u);
  EXPECT_EQ(empty.QuantileNs(0.5), 0u);
  EXPECT_EQ(empty.QuantileNs(1), 0u);
  EXPECT_EQ(empty.MeanNs(), 0.0);
}

TEST(Histogram, SingleValueIsEveryQuantile) {
  Histogram histogram;
  histogram.Record(10'000'000);
  const HistogramSnapshot snapshot = SnapshotOf(histogram);
  for (const double q : {0.0, 0.5, 0.99, 1.0}) EXPECT_EQ(snapshot.QuantileNs(q), 10'000'000u);
  EXPECT_EQ(snapshot.MeanNs(), 1e7);
}

TEST(Histogram, QuantilesMatchSortedValuesWithinTheBound) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> latencies(10, 3);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 100'000; ++i) {
    const auto value = std::min<std::uint64_t>(latencies(random), Buckets::kLargest);
    values.push_back(value);
    histogram.Record(value);
  }
  std::sort(values.begin(), values.end());
  const HistogramSnapshot snapshot = SnapshotOf(histogram);
  EXPECT_EQ(snapshot.Count(), values.size());
  EXPECT_EQ(snapshot.QuantileNs(1), values.back());
  for (const double q : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(static_cast<double>(snapshot.QuantileNs(q)), exact, exact * 0.03 + 1) << "q " << q;
  }
}

TEST(Histogram, HugeValuesKeepTheirMaximum) {
  Histogram histogram;
  histogram.Record(~std::uint64_t{0} >> 1);
  EXPECT_EQ(SnapshotOf(histogram).MaxNs(), ~std::uint64_t{0} >> 1);
  EXPECT_EQ(SnapshotOf(histogram).Count(), 1u);
}

TEST(Histogram, MergingIsRecordingInOne) {
  Histogram a, b, both;
  for (std::uint64_t i = 1; i < 1000; ++i) {
    (i % 3 ? a : b).Record(i * i);
    both.Record(i * i);
  }
  HistogramSnapshot merged = SnapshotOf(a);
  merged.Merge(SnapshotOf(b));
  const HistogramSnapshot expected = SnapshotOf(both);
  EXPECT_EQ(merged.buckets, expected.buckets);
  EXPECT_EQ(merged.sum_ns, expected.sum_ns);
  EXPECT_EQ(merged.max_ns, expected.max_ns);
}

TEST(Histogram, ReadersSeeAGrowingCountAndWriterLosesNothing) {
  constexpr std::uint64_t kValues = 200'000;
  Histogram histogram;
  std::thread writer([&] {
    for (std::uint64_t i = 0; i < kValues; ++i) histogram.Record(i);
  });
  std::uint64_t last = 0;
  while (last < kValues) {
    const std::uint64_t now = SnapshotOf(histogram).Count();
    ASSERT_GE(now, last);
    last = now;
  }
  writer.join();
  EXPECT_EQ(SnapshotOf(histogram).Count(), kValues);
}

TEST(Histogram, SharedRecordingLosesNothing) {
  constexpr int kThreads = 4, kValues = 20'000;
  Histogram histogram;
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&] {
      for (int i = 0; i < kValues; ++i) histogram.RecordShared(7);
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(SnapshotOf(histogram).Count(), std::uint64_t{kThreads} * kValues);
  EXPECT_EQ(SnapshotOf(histogram).sum_ns, 7u * kThreads * kValues);
}

}  // namespace
}  // namespace urge::trace

// Distributions: quantiles, differences, percentile files, bins, and the bootstrap.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <random>
#include <sstream>
#include <vector>

#include "runtime/trace/histogram.h"
#include "stress/common/archive.h"
#include "stress/common/bootstrap.h"
#include "stress/common/distribution.h"
#include "stress/common/gnuplot.h"
#include "stress/common/hdr.h"
#include "stress/common/log_bins.h"
#include "stress/common/text.h"

namespace stress {
namespace {

Distribution Of(const std::vector<std::uint64_t>& values) {
  DistributionRecorder recorder;
  for (const std::uint64_t v : values) recorder.Add(v);
  return recorder.Get();
}

// 1, 2, … n: one to a bucket up to 64.
Distribution UpTo(std::uint64_t n) {
  DistributionRecorder recorder;
  for (std::uint64_t v = 1; v <= n; ++v) recorder.Add(v);
  return recorder.Get();
}

// About `median`, a factor of two from quarter to quarter.
Distribution LogNormal(double median, int n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> values(std::log(median), 0.5);
  DistributionRecorder recorder;
  for (int i = 0; i < n; ++i) recorder.Add(static_cast<std::uint64_t>(values(random)));
  return recorder.Get();
}

TEST(Distribution, SaysWhatTheRuntimesHistogramSays) {
  urge::trace::Histogram histogram;
  DistributionRecorder recorder;
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> values(10, 2);
  for (int i = 0; i < 10'000; ++i) {
    const auto v = static_cast<std::uint64_t>(values(random));
    histogram.Record(v);
    recorder.Add(v);
  }
  urge::trace::HistogramSnapshot snapshot;
  histogram.AddTo(snapshot);
  const Distribution d = recorder.Get();
  EXPECT_EQ(d.Count(), snapshot.Count());
  EXPECT_EQ(d.max_ns, static_cast<double>(snapshot.MaxNs()));
  EXPECT_DOUBLE_EQ(d.mean_ns, snapshot.MeanNs());
  for (const double q : {0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.99999, 1.0}) {
    EXPECT_EQ(d.Quantile(q), static_cast<double>(snapshot.QuantileNs(q))) << q;
  }
}

TEST(Distribution, IsEmptyWithoutValues) {
  const Distribution d = Of({});
  EXPECT_TRUE(d.empty());
  EXPECT_EQ(d.Count(), 0u);
  EXPECT_EQ(d.Quantile(0.5), 0);
  EXPECT_EQ(d.StandardDeviation(), 0);
}

TEST(Distribution, InterpolatesWithinBuckets) {
  // Width 1: value v lies in [v, v + 1).
  EXPECT_DOUBLE_EQ(UpTo(50).Interpolate(0.5), 26);
  // One wide bucket.
  const Distribution d{{{1024, 1056, 10}}, 1040, 1055};
  EXPECT_DOUBLE_EQ(d.Interpolate(0.25), 1032);
  EXPECT_DOUBLE_EQ(d.Interpolate(1), 1055) << "not beyond the maximum";
}

TEST(Distribution, DifferenceIsWhatCame) {
  DistributionRecorder recorder;
  for (const std::uint64_t v : {5u, 5u, 7u, 1000u}) recorder.Add(v);
  const Distribution before = recorder.Get();
  for (const std::uint64_t v : {5u, 6u, 40u}) recorder.Add(v);
  const Distribution d = Difference(recorder.Get(), before);
  EXPECT_EQ(d.Count(), 3u);
  EXPECT_EQ(d.Quantile(0.5), 6);
  EXPECT_NEAR(d.mean_ns, 17, 1e-9);
  EXPECT_EQ(d.max_ns, 40) << "the old maximum wasn't reached again";
  recorder.Add(2000);
  EXPECT_EQ(Difference(recorder.Get(), before).max_ns, 2000);
  EXPECT_TRUE(Difference(before, before).empty());
}

TEST(Distribution, TravelsThroughAnArchive) {
  Distribution d = LogNormal(1e5, 1000, 3);
  ArchiveWriter writer;
  VisitDistribution(writer, d);
  Distribution copy;
  ArchiveReader reader(writer.Text());
  VisitDistribution(reader, copy);
  ASSERT_TRUE(reader.good());
  EXPECT_EQ(copy.Count(), d.Count());
  EXPECT_EQ(copy.Quantile(0.9), d.Quantile(0.9));
  EXPECT_EQ(copy.mean_ns, d.mean_ns);
  ArchiveReader cut(writer.Text().substr(0, writer.Text().size() / 2));
  VisitDistribution(cut, copy);
  EXPECT_FALSE(cut.good());
}

std::vector<PercentileRow> RowsOf(const Distribution& d) {
  std::vector<PercentileRow> rows;
  ForEachPercentile(d, [&](const PercentileRow& row) { rows.push_back(row); });
  return rows;
}

TEST(Hdr, RowsHalveTheDistanceToOneHundredPercentInFiveSteps) {
  const std::vector<PercentileRow> rows = RowsOf(UpTo(60));
  const double expected[] = {0,    0.1,   0.2,    0.3,  0.4,    0.5,   0.55,
                             0.6,  0.65,  0.7,    0.75, 0.775,  0.8,   0.825,
                             0.85, 0.875, 0.8875, 0.9,  0.9125, 0.925, 0.9375};
  ASSERT_GE(rows.size(), std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    EXPECT_NEAR(rows[i].percentile, expected[i], 1e-12);
    // The first value that so many don't exceed.
    const double value = std::max(1.0, std::ceil(expected[i] * 60 - 1e-9));
    EXPECT_EQ(rows[i].value_ns, value) << expected[i];
    EXPECT_EQ(rows[i].cumulative, static_cast<std::uint64_t>(value));
  }
}

TEST(Hdr, RowsRiseAndEndWithTheMaximum) {
  const Distribution d = LogNormal(2e4, 20'000, 5);
  const std::vector<PercentileRow> rows = RowsOf(d);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    EXPECT_GE(rows[i].value_ns, rows[i - 1].value_ns);
    EXPECT_GT(rows[i].percentile, rows[i - 1].percentile);
    EXPECT_GE(rows[i].cumulative, rows[i - 1].cumulative);
  }
  EXPECT_EQ(rows.back().percentile, 1);
  EXPECT_EQ(rows.back().value_ns, d.max_ns);
  EXPECT_EQ(rows.back().cumulative, d.Count());
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(), [](auto& r) { return r.percentile == 1; }), 1);
}

TEST(Hdr, WritesTheTextThatThePlotterReads) {
  std::ostringstream out;
  WriteHdr(out, Of({1000, 2000}));
  EXPECT_THAT(out.str(),
              testing::StartsWith("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
                                  "       1.007 0.000000000000          1           1.00\n"
                                  "       1.007 0.100000000000          1           1.11\n"));
  EXPECT_THAT(out.str(),
              testing::HasSubstr("       2.000 1.000000000000          2\n#[Mean    = "));
  EXPECT_THAT(out.str(),
              testing::HasSubstr("\n#[Max     =        2.000, Total count    =            2]\n"));
  std::ostringstream empty;
  WriteHdr(empty, {});
  EXPECT_THAT(empty.str(), testing::HasSubstr("Total count    =            0]"));
}

TEST(LogBins, KeepAllValuesBetweenRoundEdges) {
  const Distribution d = LogNormal(3e4, 5000, 7);
  for (const int most : {5, 26, 200}) {
    const LogBins bins(d, most, 80, LogBins::kWhole), spread(d, most, 80, LogBins::kSpread);
    double sum = 0, spread_sum = 0;
    for (std::size_t i = 0; i < bins.size(); ++i) {
      sum += bins.CountOf(i);
      spread_sum += spread.CountOf(i);
      EXPECT_EQ(bins.CountOf(i), std::floor(bins.CountOf(i)));
      EXPECT_LT(bins.Edge(i), bins.Edge(i + 1));
    }
    EXPECT_EQ(sum, static_cast<double>(d.Count()));
    EXPECT_NEAR(spread_sum, sum, 1e-6);
    EXPECT_LE(bins.size(), static_cast<std::size_t>(most));
  }
  EXPECT_EQ(LogBins(Of({1024}), 26, 10, LogBins::kWhole).Edge(0), 1000);
}

TEST(Bootstrap, KnowsAQuantileWithFiveValuesOnEitherSide) {
  EXPECT_FALSE(QuantileIsKnown(UpTo(9), 0.5));
  EXPECT_TRUE(QuantileIsKnown(UpTo(10), 0.5));
  EXPECT_FALSE(QuantileIsKnown(UpTo(499), 0.99));
  EXPECT_TRUE(QuantileIsKnown(UpTo(500), 0.99));
  EXPECT_FALSE(QuantileIsKnown({}, 0.5));
}

TEST(Bootstrap, TheSameSeedGivesTheSame) {
  const Distribution a = LogNormal(1e5, 500, 1), b = LogNormal(1.3e5, 500, 2);
  const Estimate once = BootstrapRatio(a, b, 0.5, {}), again = BootstrapRatio(a, b, 0.5, {});
  EXPECT_EQ(once.low, again.low);
  EXPECT_EQ(once.high, again.high);
  EXPECT_NE(once.low, BootstrapRatio(a, b, 0.5, {.seed = 2}).low);
  EXPECT_LE(once.low, once.value);
  EXPECT_GE(once.high, once.value);
}

TEST(Bootstrap, AgreesWithTheTheoryOfTheMedian) {
  // The median of n values of density f has a standard error of 1 / (2 f sqrt n).
  constexpr int kValues = 10'000;
  const Distribution d = LogNormal(1e6, kValues, 11);
  const Estimate median = BootstrapQuantile(d, 0.5, {.replicates = 5000});
  const double density = 1 / (1e6 * 0.5 * std::sqrt(2 * M_PI));
  const double error = 1 / (2 * density * std::sqrt(kValues));
  EXPECT_NEAR((median.high - median.low) / 2, 1.96 * error, 0.15 * 1.96 * error);
  EXPECT_NEAR(median.value, 1e6, 4 * error);
}

TEST(Bootstrap, MoreConfidenceIsWiderAndMoreValuesAreNarrower) {
  const auto width = [](int values, double confidence) {
    const Estimate e =
        BootstrapQuantile(LogNormal(1e5, values, 1), 0.99, {.confidence = confidence});
    return e.high - e.low;
  };
  EXPECT_GT(width(2000, 0.99), width(2000, 0.9));
  EXPECT_GT(width(2000, 0.95), 2 * width(200'000, 0.95));
}

TEST(Bootstrap, FindsADifferenceThatIsThereAndNoneInTheSame) {
  const Distribution a = LogNormal(1e5, 2000, 1);
  for (const double q : {0.5, 0.99}) {
    const Estimate same = BootstrapRatio(a, a, q, {});
    EXPECT_EQ(same.value, 1);
    EXPECT_LT(same.low, 1);
    EXPECT_GT(same.high, 1);
    const Estimate twice = BootstrapRatio(a, LogNormal(2e5, 2000, 2), q, {});
    EXPECT_GT(twice.low, 1.5);
    EXPECT_LT(twice.high, 2.6);
  }
}

TEST(Bootstrap, MedianOfAFewValues) {
  const Estimate e = BootstrapMedian(std::vector<double>{3, 1, 2, 4}, {});
  EXPECT_EQ(e.value, 2.5);
  EXPECT_GE(e.low, 1);
  EXPECT_LE(e.high, 4);
  EXPECT_LT(e.low, e.high);
  const Estimate one = BootstrapMedian(std::vector<double>{7}, {});
  EXPECT_EQ(one.low, 7);
  EXPECT_EQ(one.high, 7);
}

TEST(FormatBar, IsAsWideAsAskedAndEmptyOnlyForNothing) {
  for (const double fraction : {0.0, 0.001, 0.3, 0.5, 1.0, 7.0}) {
    const std::string bar = FormatBar(fraction, 10);
    const auto width =
        std::count_if(bar.begin(), bar.end(), [](char c) { return (c & 0xc0) != 0x80; });
    EXPECT_EQ(width, 10) << bar;
    EXPECT_EQ(bar == std::string(10, ' '), fraction == 0) << bar;
  }
}

TEST(GnuplotQuote, TakesMarkupByTheWord) {
  EXPECT_EQ(GnuplotQuote("p50"), "\"p50\"");
  EXPECT_EQ(GnuplotQuote("a_b"), "\"a\\\\_b\"");
  EXPECT_EQ(GnuplotQuote("\"\\"), "\"\\\"\\\\\"");
}

}  // namespace
}  // namespace stress

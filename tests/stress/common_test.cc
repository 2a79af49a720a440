// The building blocks of the stress programs.

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <sstream>
#include <thread>
#include <vector>

#include "stress/common/args.h"
#include "stress/common/hog.h"
#include "stress/common/input.h"
#include "stress/common/json.h"
#include "stress/common/json_reader.h"
#include "stress/common/recursion_split.h"
#include "stress/common/sha256.h"
#include "stress/common/stats.h"
#include "stress/common/text.h"

namespace stress {
namespace {

using namespace std::chrono_literals;

TEST(JainIndex, IsOneWhenAllAreAlikeAndOneNthWhenOneHasAll) {
  EXPECT_DOUBLE_EQ(JainIndex(std::vector<double>{3, 3, 3, 3}), 1);
  EXPECT_DOUBLE_EQ(JainIndex(std::vector<double>{5, 0, 0, 0}), 0.25);
  EXPECT_DOUBLE_EQ(JainIndex(std::vector<double>{0, 0}), 1);
}

TEST(Samples, QuantilesAreExactWhileFew) {
  Samples samples;
  for (std::uint64_t i = 1000; i >= 1; --i) samples.Add(i);
  const Summary summary = samples.Summarize(10);
  EXPECT_EQ(summary.count, 1000u);
  EXPECT_EQ(summary.p50, 5000);
  EXPECT_EQ(summary.p99, 9900);
  EXPECT_EQ(summary.max, 10000);
}

TEST(Samples, ThinningKeepsCountMaximumAndShape) {
  Samples samples;
  constexpr std::uint64_t kMany = 10 * Samples::kCapacity;
  for (std::uint64_t i = 1; i <= kMany; ++i) samples.Add(i);
  const Summary summary = samples.Summarize(1);
  EXPECT_EQ(summary.count, kMany);
  EXPECT_EQ(summary.max, static_cast<double>(kMany));
  EXPECT_NEAR(summary.p50, kMany / 2, kMany * 0.001);
}

TEST(Samples, EmptySetsHaveNoQuantiles) {
  EXPECT_EQ(Samples().Summarize(1).count, 0u);
  EXPECT_EQ(Samples().Summarize(1).p99, 0);
}

TEST(SliceMeter, SeparatesSlicesFromWaits) {
  SliceMeter meter({TicksOfNs(1e6), TicksOfNs(5e6)});
  meter.Ready();
  meter.Start();
  constexpr int kSlices = 5;
  for (int slice = 0; slice < kSlices; ++slice) {
    const auto end = std::chrono::steady_clock::now() + 3ms;
    while (std::chrono::steady_clock::now() < end) meter.Touch();
    std::this_thread::sleep_for(10ms);
    meter.Touch();
  }
  // The machine may take the processor away, which splits or lengthens slices; never the others.
  EXPECT_GE(meter.slices().count(), std::uint64_t{kSlices});
  EXPECT_GE(NsOfTicks(meter.longest_wait_ticks()), 9.9e6);
  EXPECT_LT(NsOfTicks(meter.cpu_ticks()), kSlices * 3e6 + 9.9e6) << "no wait is counted";
}

TEST(SliceMeter, CountsTheIntervalThatAPauseLiesIn) {
  SliceMeter meter({1'000'000, 1'000'000});
  meter.Start();
  std::uint64_t now = stress::ReadTicks();
  for (int slice = 0; slice < 3; ++slice) {
    for (int i = 0; i < 99; ++i) meter.Touch(now += 1'000);
    meter.Touch(now += 50'000'000);
  }
  // The first one began with Start.
  ASSERT_EQ(meter.slices().count(), 3u);
  EXPECT_EQ(meter.slices().Summarize(1).p50, 100'000);
}

class EveryHog : public testing::TestWithParam<HogKindInfo> {};

TEST_P(EveryHog, VerifiesItsResultsAndStopsWhenTold) {
  const Input input = ReadInput("");
  const auto kind = GetParam().make(std::string_view(input.bytes).substr(0, 100'000));
  // Under a sanitizer, on a busy machine, it takes some time to compute anything.
  for (auto time = 200ms;; time *= 4) {
    std::atomic<bool> stop{false};
    HogRun first(stop, {~0ull, ~0ull}), second(stop, {~0ull, ~0ull});
    std::thread a([&] { kind->Work(first); }), b([&] { kind->Work(second); });
    std::this_thread::sleep_for(time);
    stop = true;
    a.join();
    b.join();
    EXPECT_EQ(first.failure(), "");
    EXPECT_EQ(second.failure(), "");
    if (first.verified() > 0 && second.verified() > 0) break;
    ASSERT_LT(time, 30s) << "nothing was verified";
  }
  EXPECT_GT(CalibratePause(*kind), 0u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryHog, testing::ValuesIn(HogKinds().begin(), HogKinds().end()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Sha256, PortionsDoNotMatter) {
  std::string data;
  for (int i = 0; i < 1000; ++i) data += static_cast<char>(i * 7);
  for (std::size_t portion : {1u, 3u, 63u, 64u, 65u, 127u, 1000u}) {
    Sha256 hash;
    for (std::size_t at = 0; at < data.size(); at += portion) hash.Update(data.substr(at, portion));
    EXPECT_EQ(hash.Finish(), Sha256::Of(data)) << portion;
  }
}

TEST(Sha256, MillionLettersHaveThePublishedDigest) {
  EXPECT_EQ(Sha256::Hex(Sha256::Of(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Recursion, KnownCounts) {
  EXPECT_EQ(CountQueens(8), 92u);
  EXPECT_EQ(CountQueens(4), 2u);
  EXPECT_EQ(Fibonacci(20), 6765u);
}

TEST(ParseDuration, TakesUnitsAndFractions) {
  EXPECT_EQ(ParseDuration("250us", 0ns, 1h), 250us);
  EXPECT_EQ(ParseDuration("2.5s", 0ns, 1h), 2500ms);
  EXPECT_EQ(ParseDuration("1m", 0ns, 1h), 60s);
  for (const char* wrong : {"", "s", "5", "1 s", "1e9s", "infs", "0x10s", "1sec", "+1s"}) {
    EXPECT_THROW(ParseDuration(wrong, 0ns, 1h), BadArgument) << wrong;
  }
  EXPECT_THROW(ParseDuration("2h", 0ns, 24h), BadArgument);
  EXPECT_THROW(ParseDuration("61m", 0ns, 1h), BadArgument);
}

TEST(ToString, IsReadBackByParseDuration) {
  for (const auto d : {1ns, 1500ns, 10'000'000ns, 61'000'000'000ns, 120'000'000'000ns}) {
    EXPECT_EQ(ParseDuration(ToString(d), 0ns, 24h), d) << ToString(d);
  }
}

TEST(FormatTime, ThreeDigitsAndAUnit) {
  EXPECT_EQ(FormatTime(312), "312 ns");
  EXPECT_EQ(FormatTime(9.996e6), "10.0 ms");
  EXPECT_EQ(FormatTime(999.7e3), "1.00 ms");
  EXPECT_EQ(FormatTime(1.5e10), "15.0 s");
  EXPECT_EQ(FormatTime(0), "0 ns");
  EXPECT_EQ(FormatCount(1234567), "1 234 567");
  EXPECT_EQ(FormatCount(999), "999");
}

TEST(JsonWriter, EscapesAndNests) {
  std::ostringstream out;
  JsonWriter json(out);
  json.BeginObject();
  json.Member("text", "a\"b\\c\nd");
  json.Member("number", 1.5);
  json.Member("not a number", std::nan(""));
  json.Key("list").BeginArray();
  json.Value(1);
  json.Value(true);
  json.EndArray();
  json.Key("nothing").BeginArray();
  json.EndArray();
  json.EndObject();
  const Json parsed = Json::Parse(out.str());
  EXPECT_EQ(parsed["text"].string(), "a\"b\\c\nd");
  EXPECT_EQ(parsed["number"].number(), 1.5);
  EXPECT_EQ(parsed["list"].array().size(), 2u);
  EXPECT_TRUE(parsed["nothing"].array().empty());
}

}  // namespace
}  // namespace stress

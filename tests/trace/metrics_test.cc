// <urge/metrics.h>: readings, differences, and both written forms.

#include <gtest/gtest.h>
#include <urge/metrics.h>

#include <iomanip>
#include <locale>
#include <sstream>
#include <stdexcept>

#include "runtime/trace/counters.h"

namespace urge {
namespace {

using namespace std::chrono_literals;
using trace::Counter;
using trace::Latency;

TEST(Metrics, DifferenceHoldsOnlyWhatHappenedSince) {
  trace::AddShared(Counter::kDeferOpaque, 3);
  trace::RecordShared(Latency::kSliceLength, 50'000'000);
  const metrics before = read_metrics();
  trace::AddShared(Counter::kDeferOpaque, 4);
  trace::AddShared(Counter::kRequestsWakeup, 2);
  for (int i = 0; i < 100; ++i) trace::RecordShared(Latency::kSliceLength, 10'000'000);
  const metrics since = read_metrics() - before;
  EXPECT_EQ(since.deferred_opaque, 4u);
  EXPECT_EQ(since.deferred(), 4u);
  EXPECT_EQ(since.requests(), 2u);
  EXPECT_EQ(since.slice_length.count(), 100u);
  EXPECT_NEAR(since.slice_length.quantile(0.5) / 1us, 10'000, 300);
  EXPECT_NEAR(since.slice_length.max() / 1us, 10'000, 300) << "the 50 ms were before";
  EXPECT_EQ(since.slice_length.mean(), 10ms);
}

TEST(Metrics, DifferenceOfEqualReadingsIsEmpty) {
  trace::RecordShared(Latency::kAckPrologue, 300);
  const metrics before = read_metrics();
  const metrics since = read_metrics() - before;
  EXPECT_TRUE(since.ack_prologue.empty());
  EXPECT_EQ(since.ack_prologue.max(), 0ns);
  EXPECT_EQ(since.ack_prologue.mean(), 0ns);
  EXPECT_EQ(since.ack_prologue.quantile(1), 0ns);
}

TEST(Metrics, QuantileOutOfRangeIsRefused) {
  const latency_distribution none;
  EXPECT_THROW(static_cast<void>(none.quantile(-0.1)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(none.quantile(1.1)), std::invalid_argument);
}

TEST(Metrics, BothFormsNameEveryFigure) {
  trace::AddShared(Counter::kSpawns, 1234567);
  trace::RecordShared(Latency::kTimerLateness, 42'000);
  std::ostringstream text, json;
  write_metrics(text);
  write_metrics(json, metrics_format::json);
  for (const char* name : {"spawns", "deferred_not_wanted", "timer_lateness", "wakeup_to_run"}) {
    EXPECT_NE(text.str().find(name), std::string::npos) << name;
    EXPECT_NE(json.str().find('"' + std::string(name) + '"'), std::string::npos) << name;
  }
  EXPECT_EQ(json.str().front(), '{');
  EXPECT_EQ(json.str().substr(json.str().size() - 2), "}\n");
}

TEST(Metrics, WritingIgnoresAndKeepsTheStreamsFormat) {
  struct grouped : std::numpunct<char> {
    char do_thousands_sep() const override { return ','; }
    std::string do_grouping() const override { return "\3"; }
  };
  metrics values;
  values.spawns = 1234567;
  std::ostringstream out;
  out.imbue(std::locale(out.getloc(), new grouped));
  out << std::hex;
  write_metrics(out, values, metrics_format::json);
  EXPECT_NE(out.str().find("\"spawns\": 1234567,"), std::string::npos) << out.str();
  out.str("");
  out << 0x12345;
  EXPECT_EQ(out.str(), "12,345");
}

}  // namespace
}  // namespace urge

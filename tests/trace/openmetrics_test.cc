// The OpenMetrics form of <urge/metrics.h>, read back by the rules of the specification.

#include <gtest/gtest.h>
#include <urge/metrics.h>

#include <cmath>
#include <limits>
#include <locale>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/trace/counters.h"

namespace urge {
namespace {

using trace::Counter;
using trace::Latency;

struct Bucket {
  double le;
  std::uint64_t cumulative;
};
struct Family {
  std::string type, help, unit;
  std::map<std::string, std::string> samples;  // by suffix, without buckets
  std::vector<Bucket> buckets;
};
using Exposition = std::map<std::string, Family>;

std::uint64_t Whole(const std::string& text) { return std::stoull(text); }

// Reads line by line what may follow what; fails the test at the first line that may not.
class Reader {
 public:
  explicit Reader(const std::string& text) : in_(text) {
    EXPECT_TRUE(text.ends_with("\n"));
    ReadAll();
    EXPECT_TRUE(ended_) << "no # EOF";
  }
  const Exposition& families() const { return families_; }

 private:
  void ReadAll() {
    std::string line;
    while (std::getline(in_, line)) {
      ASSERT_FALSE(ended_) << "after # EOF: " << line;
      ReadLine(line);
      if (testing::Test::HasFailure()) FAIL() << line;
    }
  }
  void ReadLine(const std::string& line) {
    static const std::regex comment(R"(# (TYPE|HELP|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))");
    static const std::regex sample(
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{le="([^"]+)"\})? ([0-9]+(\.[0-9]+)?))re");
    std::smatch m;
    if (line == "# EOF") {
      ended_ = true;
    } else if (std::regex_match(line, m, comment)) {
      ReadComment(m[1], m[2], m[3]);
    } else if (std::regex_match(line, m, sample)) {
      ReadSample(m[1], m[3], m[4]);
    } else {
      ADD_FAILURE() << "no line of OpenMetrics";
    }
  }

  void ReadComment(const std::string& keyword, const std::string& name, const std::string& text) {
    if (name != current_) {
      EXPECT_TRUE(families_.emplace(name, Family()).second) << "families may not be interleaved";
      current_ = name;
    }
    Family& family = families_[name];
    EXPECT_TRUE(family.samples.empty() && family.buckets.empty()) << "metadata goes first";
    std::string& field = keyword == "TYPE"   ? family.type
                         : keyword == "HELP" ? family.help
                                             : family.unit;
    EXPECT_TRUE(field.empty()) << "twice";
    field = text;
    EXPECT_TRUE(keyword != "UNIT" || name.ends_with('_' + text)) << "the unit ends the name";
  }

  void ReadSample(const std::string& name, const std::string& le, const std::string& value) {
    ASSERT_TRUE(!current_.empty() && name.starts_with(current_)) << "not of family " << current_;
    Family& family = families_[current_];
    const std::string suffix = name.substr(current_.size());
    if (suffix == "_bucket") {
      ASSERT_FALSE(le.empty());
      family.buckets.push_back(
          {le == "+Inf" ? std::numeric_limits<double>::infinity() : std::stod(le), Whole(value)});
    } else {
      ASSERT_TRUE(le.empty());
      ASSERT_TRUE(family.samples.emplace(suffix, value).second) << "twice";
    }
  }

  std::istringstream in_;
  bool ended_ = false;
  std::string current_;
  Exposition families_;
};

Exposition Read(const metrics& values) {
  std::ostringstream out;
  write_metrics(out, values, metrics_format::openmetrics);
  return Reader(out.str()).families();
}

std::set<std::string> NamesInJson(const metrics& values) {
  std::ostringstream out;
  write_metrics(out, values, metrics_format::json);
  const std::string text = std::regex_replace(out.str(), std::regex(R"(\{"count"[^}]*\})"), "0");
  std::set<std::string> names;
  const std::regex key("\"([^\"]+)\":");
  for (std::sregex_iterator i(text.begin(), text.end(), key), end; i != end; ++i) {
    names.insert((*i)[1]);
  }
  return names;
}

TEST(OpenMetricsTest, EveryFigureIsAFamilyWithTypeAndHelp) {
  const metrics values = read_metrics();
  const Exposition families = Read(values);
  std::set<std::string> names;
  for (const auto& [name, family] : families) {
    ASSERT_TRUE(name.starts_with("urge_")) << name;
    std::string figure = name.substr(5);
    EXPECT_FALSE(family.help.empty()) << name << " has no line in openmetrics.cc's table";
    if (family.type == "counter") {
      EXPECT_EQ(family.samples.size(), 1u) << name;
      EXPECT_EQ(family.samples.count("_total"), 1u) << name;
    } else {
      EXPECT_EQ(family.type, "histogram") << name;
      EXPECT_EQ(family.unit, "seconds") << name;
      ASSERT_TRUE(figure.ends_with("_seconds")) << name;
      figure.resize(figure.size() - std::string("_seconds").size());
    }
    names.insert(figure);
  }
  // A list in JSON; its family, urge_deferrals, is there once something was put off.
  std::set<std::string> figures = NamesInJson(values);
  EXPECT_EQ(figures.erase("deferral_sites"), 1u);
  EXPECT_EQ(names, figures);
}

TEST(OpenMetricsTest, CountersAreTheReadings) {
  trace::AddShared(Counter::kSteals, 12'345'678'901'234);
  const metrics values = read_metrics();
  const Exposition families = Read(values);
  EXPECT_EQ(Whole(families.at("urge_steals").samples.at("_total")), values.steals);
  EXPECT_EQ(Whole(families.at("urge_deferred_not_wanted").samples.at("_total")),
            values.deferred_not_wanted);
}

TEST(OpenMetricsTest, BucketsAreCumulativeAndEndWithAll) {
  for (std::uint64_t ns = 1; ns < std::uint64_t{1} << 41; ns *= 3) {
    trace::RecordShared(Latency::kTimerLateness, ns);
  }
  for (const auto& [name, family] : Read(read_metrics())) {
    if (family.type != "histogram") continue;
    ASSERT_FALSE(family.buckets.empty()) << name;
    for (std::size_t i = 1; i < family.buckets.size(); ++i) {
      EXPECT_LT(family.buckets[i - 1].le, family.buckets[i].le) << name;
      EXPECT_LE(family.buckets[i - 1].cumulative, family.buckets[i].cumulative) << name;
    }
    EXPECT_TRUE(std::isinf(family.buckets.back().le)) << name;
    EXPECT_EQ(family.buckets.back().cumulative, Whole(family.samples.at("_count"))) << name;
    EXPECT_EQ(family.samples.count("_sum"), 1u) << name;
  }
}

// Each value lies in exactly those buckets whose bound it doesn't exceed, at the bounds too.
TEST(OpenMetricsTest, ABucketHoldsWhatIsAtMostItsBound) {
  const metrics nothing;
  const std::vector<Bucket> bounds = Read(nothing).at("urge_ack_signal_seconds").buckets;
  ASSERT_GT(bounds.size(), 20u);
  std::set<std::uint64_t> values = {0, 1, 10'000'000, 1'000'000'000};
  for (const Bucket& bucket : bounds) {
    if (std::isinf(bucket.le)) continue;
    const auto ns = static_cast<std::uint64_t>(std::llround(bucket.le * 1e9));
    values.insert({ns, ns + 1});
  }
  for (const std::uint64_t ns : values) {
    const metrics before = read_metrics();
    trace::RecordShared(Latency::kAckSignal, ns);
    const Family family = Read(read_metrics() - before).at("urge_ack_signal_seconds");
    ASSERT_EQ(family.samples.at("_count"), "1");
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      const double bound = family.buckets[i].le;
      ASSERT_EQ(bound, bounds[i].le) << "bounds must not move";
      const bool within = std::isinf(bound) || ns <= static_cast<std::uint64_t>(bound * 1e9 + 0.5);
      EXPECT_EQ(family.buckets[i].cumulative, within ? 1u : 0u) << ns << " ns, le " << bound;
    }
  }
}

TEST(OpenMetricsTest, SumsAreExactSeconds) {
  const metrics before = read_metrics();
  for (const std::uint64_t ns : {1ull, 70'000'000'000ull, 29'999'999'999ull}) {
    trace::RecordShared(Latency::kSliceLength, ns);
  }
  const Family family = Read(read_metrics() - before).at("urge_slice_length_seconds");
  EXPECT_EQ(family.samples.at("_sum"), "100.000000000");
}

TEST(OpenMetricsTest, TheStreamsLocaleDoesNotShow) {
  struct Grouped : std::numpunct<char> {
    char do_thousands_sep() const override { return ','; }
    std::string do_grouping() const override { return "\3"; }
    char do_decimal_point() const override { return ','; }
  };
  metrics values;
  values.spawns = 1234567;
  std::ostringstream out;
  out.imbue(std::locale(out.getloc(), new Grouped));
  out << std::hex << std::showbase;
  write_metrics(out, values, metrics_format::openmetrics);
  EXPECT_EQ(Reader(out.str()).families().at("urge_spawns").samples.at("_total"), "1234567");
}

}  // namespace
}  // namespace urge

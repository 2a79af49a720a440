// stress/latency as its users meet it: the report, the files, the pictures, comparisons, sweeps and
// wrong arguments.
//
// skip: asan tsan

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>

#include "stress/common/gnuplot.h"
#include "stress/common/json_reader.h"
#include "tests/stress/command.h"
#include "tests/stress/temporary_file.h"

namespace {

using stress::Json;
using testing::AllOf;
using testing::HasSubstr;
using urge_test::CommandResult;
using urge_test::ReadFile;
using urge_test::RunCommand;
using urge_test::TemporaryDirectory;
using urge_test::TemporaryFile;

CommandResult Latency(std::vector<std::string> arguments) {
  return RunCommand("stress/latency", arguments);
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

// The lines of a CSV file by their first cells; the cells by the names of their columns.
using Csv = std::map<std::string, std::map<std::string, std::string>>;
Csv ParseCsv(const std::string& text) {
  Csv csv;
  const std::vector<std::string> lines = Split(text, '\n');
  const std::vector<std::string> names = Split(lines.at(0), ',');
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> cells = Split(lines[i], ',');
    EXPECT_EQ(cells.size(), names.size()) << lines[i];
    for (std::size_t c = 0; c < cells.size(); ++c) csv[cells[0]][names.at(c)] = cells[c];
  }
  return csv;
}

// Runs with the arguments, expects success, and returns the JSON file.
Json Measure(std::vector<std::string> arguments) {
  const TemporaryFile file;
  arguments.insert(arguments.end(), {"--json", file.path(), "--warmup=20ms"});
  const CommandResult result = Latency(arguments);
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  return Json::Parse(file.Contents());
}

struct Wrong {
  std::vector<std::string> arguments;
  std::vector<std::string> message;  // what the error line must say
};

class WrongArguments : public testing::TestWithParam<Wrong> {};

TEST_P(WrongArguments, GetOneClearLineAndStatus2) {
  const CommandResult result = Latency(GetParam().arguments);
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_THAT(result.err, testing::StartsWith("latency: "));
  for (const std::string& part : GetParam().message) EXPECT_THAT(result.err, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(
    Latency, WrongArguments,
    testing::Values(
        Wrong{{"--nonsense"}, {"--nonsense", "--help"}}, Wrong{{"nonsense"}, {"nonsense"}},
        Wrong{{"--duration=0s"}, {"--duration", "100ms"}},
        Wrong{{"--slice=1us"}, {"--slice", "20us"}},
        Wrong{{"--slice=1ms,2ms"}, {"--slice", "--sweep"}},
        Wrong{{"--procs=1,2"}, {"--procs", "--sweep"}}, Wrong{{"--procs=0"}, {"1 to 1024"}},
        Wrong{{"--hogs=nothing"}, {"--hogs", "nothing", "kinds are"}},
        Wrong{{"--mechanism=magic"}, {"--mechanism", "magic", "prologue"}},
        Wrong{{"--mechanism=prologue", "--hogs=loop:4"}, {"--mechanism", "recursion"}},
        Wrong{{"--mechanism=wakeup", "--pace=slice"}, {"--pace", "wakeup"}},
        Wrong{{"--pace=often"}, {"--pace", "often"}},
        Wrong{{"--pace=often:1ms"}, {"--pace", "often", "random"}},
        Wrong{{"--pace=every:1ns"}, {"--pace", "20us"}},
        Wrong{{"--pace=slice", "--procs=1", "--hogs=loop:1"}, {"--hogs", "nobody"}},
        Wrong{{"--pace=1ms", "--procs=2", "--hogs=loop:1"}, {"--hogs", "idle"}},
        Wrong{{"--pace=slice", "--procs=1", "--duration=100ms", "--slice=1s"},
              {"--duration", "too short"}},
        Wrong{{"--stage=preempt"}, {"--stage", "'preempt'", "preempt_total"}},
        Wrong{{"--seed=-1"}, {"--seed"}}, Wrong{{"--confidence=95"}, {"--confidence"}},
        Wrong{{"--file=/no/such/file"}, {"--file", "No such file"}},
        Wrong{{"--json=/no/such/directory/x"}, {"--json", "No such file"}},
        Wrong{{"--csv=/no/such/directory/x"}, {"--csv", "No such file"}},
        Wrong{{"--hdr=/no/such/directory/x"}, {"--hdr", "No such file"}},
        Wrong{{"--sweep", "--pace=1ms"}, {"--pace", "--sweep"}},
        Wrong{{"--sweep", "--hogs=loop:2", "--procs=1,2"}, {"--hogs", "loop:4"}},
        Wrong{{"--sweep", "--mechanism=prologue", "--hogs=loop:4"}, {"--mechanism", "loop"}},
        Wrong{{"--sweep", "--slice=1s"}, {"--duration", "100s"}},
        Wrong{{"--sweep", "--slice=1ms,1ms"}, {"--slice", "twice"}},
        Wrong{{"--compare=a.json"}, {"--compare", "two files"}},
        Wrong{{"--compare", "a", "b", "c"}, {"--compare", "two files"}},
        Wrong{{"--compare", "a", "b", "--duration=1s"}, {"--duration", "--compare"}},
        Wrong{{"--compare", "a", "b", "--sweep"}, {"--sweep", "--compare"}},
        Wrong{{"--compare", "a", "b", "--confidence=100"}, {"--confidence", "99.9"}},
        Wrong{{"--compare", "/no/such/file", "b"}, {"/no/such/file"}}));

TEST(Latency, HelpNamesEveryOptionAndKind) {
  const CommandResult result = Latency({"--help"});
  EXPECT_EQ(result.status, 0);
  for (const char* word : {"--duration",  "--warmup",    "--procs",   "--slice",     "--hogs",
                           "--mechanism", "--pace",      "--seed",    "--stage",     "--json",
                           "--csv",       "--hdr",       "--plot",    "--compare",   "--confidence",
                           "--sweep",     "Exit status", "recursion", "random:TIME", "wakeup"}) {
    EXPECT_THAT(result.out, HasSubstr(word));
  }
  EXPECT_THAT(result.out, testing::Not(HasSubstr("result-fd")));
}

// A count as the text form of a histogram has it.
std::string TotalCount(double count) {
  char text[64];
  std::snprintf(text, sizeof text, "Total count    = %12.0f]", count);
  return text;
}

TEST(Latency, EveryFormSaysTheSame) {
  const TemporaryFile json_file, csv_file, hdr_file;
  const CommandResult result =
      Latency({"--duration=1s", "--procs=1", "--slice=1ms", "--hogs", "loop:2,recursion", "--json",
               json_file.path(), "--csv", csv_file.path(), "--hdr", hdr_file.path()});
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("preemptions"), HasSubstr(" of 1.0 s"))) << "progress";
  EXPECT_THAT(result.out, AllOf(HasSubstr("preempt_total"), HasSubstr("p99.9"),
                                HasSubstr("why asked to stop"), HasSubstr("logarithmic")));

  const Json json = Json::Parse(json_file.Contents());
  const Csv csv = ParseCsv(csv_file.Contents());
  EXPECT_EQ(csv.size(), json["stages"].object().size());
  for (const auto& [name, stage] : json["stages"].object()) {
    double sum = 0, last = -1;
    for (const Json& bucket : stage["buckets"].array()) {
      EXPECT_GE(bucket[0].number(), last);
      EXPECT_LT(bucket[0].number(), bucket[1].number());
      last = bucket[1].number();
      sum += bucket[2].number();
    }
    EXPECT_EQ(sum, stage["count"].number()) << name;
    EXPECT_LE(stage["p50_ns"].number(), stage["p90_ns"].number()) << name;
    EXPECT_LE(stage["p90_ns"].number(), stage["p99_ns"].number()) << name;
    EXPECT_LE(stage["p99_ns"].number(), stage["p99.9_ns"].number()) << name;
    EXPECT_LE(stage["p99.9_ns"].number(), stage["max_ns"].number()) << name;
    const auto& line = csv.at(name);
    for (const char* column : {"count", "p50_ns", "p99_ns", "p99.9_ns", "max_ns"}) {
      EXPECT_NEAR(std::stod(line.at(column)), stage[column].number(), 0.5) << name << column;
    }
  }

  const Json& total = json["stages"]["preempt_total"];
  const double preempted =
      json["preemptions"]["signal"].number() + json["preemptions"]["prologue"].number();
  EXPECT_GT(preempted, 0);
  EXPECT_GT(total["count"].number(), 0);
  EXPECT_GT(json["preemptions"]["prologue"].number(), 0);
  EXPECT_GT(json["preemptions"]["signal"].number(), 0);
  EXPECT_GT(json["stages"]["response"]["count"].number(), 0);
  double over_time = 0;
  for (const Json& window : json["over_time"]["windows"].array()) {
    over_time += window["count"].number();
  }
  // The last window ends a moment before the run does.
  EXPECT_LE(over_time, total["count"].number());
  EXPECT_GE(over_time, 0.9 * total["count"].number());
  EXPECT_EQ(json["hogs"].array().size(), 3u);
  for (const Json& hog : json["hogs"].array()) {
    EXPECT_GT(hog["verified"].number(), 0) << hog["name"].string();
    EXPECT_EQ(hog["failure"].string(), "");
  }

  const std::vector<std::string> hdr = Split(hdr_file.Contents(), '\n');
  EXPECT_THAT(hdr.front(), HasSubstr("1/(1-Percentile)"));
  EXPECT_THAT(hdr_file.Contents(), HasSubstr(TotalCount(total["count"].number())));
  std::istringstream last(hdr.at(hdr.size() - 4));
  double value_us = 0, percentile = 0, cumulative = 0;
  last >> value_us >> percentile >> cumulative;
  EXPECT_NEAR(value_us, total["max_ns"].number() / 1000, 0.001);
  EXPECT_EQ(percentile, 1);
  EXPECT_EQ(cumulative, total["count"].number());
}

TEST(Latency, TheMechanismIsTheOneAskedFor) {
  const Json prologue =
      Measure({"--mechanism=prologue", "--duration=800ms", "--procs=1", "--slice=1ms"});
  EXPECT_GT(prologue["preemptions"]["prologue"].number(), 0);
  EXPECT_EQ(prologue["preemptions"]["signal"].number(), 0);
  EXPECT_EQ(prologue["asked"]["sent"].number() + prologue["asked"]["timer"].number(), 0);

  const Json signal = Measure({"--mechanism=signal", "--duration=800ms", "--procs=1", "--slice=1ms",
                               "--hogs=loop,recursion"});
  EXPECT_GT(signal["preemptions"]["signal"].number(), 0);
  EXPECT_EQ(signal["preemptions"]["prologue"].number(), 0);
  EXPECT_EQ(signal["asked"]["mark"].number(), 0);

  const Json wakeup =
      Measure({"--mechanism=wakeup", "--duration=800ms", "--procs=1", "--hogs=loop:2"});
  EXPECT_EQ(wakeup["parameters"]["slices_ns"][0].number(), 100e6);
  EXPECT_GT(wakeup["requests"]["wakeup"].number(), wakeup["requests"]["slice"].number());
}

TEST(Latency, ThePaceIsTheOneAskedFor) {
  const auto run = [](const char* pace) {
    return Measure(
        {"--duration=800ms", "--procs=1", "--hogs=loop:2", "--slice=5ms", "--pace", pace});
  };
  const Json slice = run("slice");
  EXPECT_EQ(slice["requests"]["wakeup"].number(), 0);
  EXPECT_GT(slice["requests"]["slice"].number(), 0);
  EXPECT_FALSE(slice["stages"].has("response"));
  for (const char* pace : {"2ms", "sleep:2ms", "every:2ms", "random:2ms"}) {
    const Json json = run(pace);
    EXPECT_GT(json["requests"]["wakeup"].number(), 0) << pace;
    EXPECT_GT(json["stages"]["response"]["count"].number(), 0) << pace;
    // No more often than asked; a busy machine makes it less. Random gaps may be short.
    EXPECT_LE(json["stages"]["response"]["count"].number(), 1000) << pace;
  }
}

TEST(Latency, NothingMeasuredIsNoSuccess) {
  const TemporaryFile json_file;
  const CommandResult result = Latency({"--duration=100ms", "--procs=1", "--hogs=loop:1",
                                        "--pace=every:10s", "--json", json_file.path()});
  EXPECT_EQ(result.status, 1) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("nothing was measured"));
  EXPECT_EQ(Json::Parse(json_file.Contents())["exit_status"].number(), 1);
}

// Signature, chunks with the right checksums, a header with the size, an end.
void ExpectPng(const std::string& path) {
  const std::string png = ReadFile(path);
  ASSERT_TRUE(png.starts_with("\x89PNG\r\n\x1a\n")) << path;
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
      value = value << 8 | static_cast<unsigned char>(png.at(at + i));
    return value;
  };
  EXPECT_GE(word(16), 1000u) << path << ": width";
  EXPECT_GE(word(20), 500u) << path << ": height";
  std::string last;
  for (std::size_t at = 8; at < png.size();) {
    const std::size_t length = word(at);
    ASSERT_LE(at + 12 + length, png.size()) << path;
    last = png.substr(at + 4, 4);
    const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(png.data() + at + 4),
                            static_cast<uInt>(length + 4));
    EXPECT_EQ(word(at + 8 + length), crc) << path << ": " << last;
    at += 12 + length;
  }
  EXPECT_EQ(last, "IEND") << path;
}

// One svg element whose tags are balanced, with the words in it.
void ExpectSvg(const std::string& path, const std::vector<std::string>& words) {
  const std::string svg = ReadFile(path);
  EXPECT_TRUE(svg.starts_with("<?xml")) << path;
  EXPECT_THAT(svg, HasSubstr("<svg")) << path;
  std::vector<std::string> open;
  for (std::size_t at = svg.find('<'); at != svg.npos; at = svg.find('<', at + 1)) {
    if (svg[at + 1] == '!') {
      at = svg.compare(at, 4, "<!--") == 0 ? svg.find("-->", at) : at;
      continue;
    }
    const std::size_t end = svg.find('>', at);
    ASSERT_NE(end, svg.npos) << path;
    const bool closes = svg[at + 1] == '/';
    const std::size_t name = at + (closes ? 2 : 1);
    const std::string tag = svg.substr(name, svg.find_first_of(" \t\n/>", name) - name);
    if (tag == "?xml" || svg[end - 1] == '/') continue;
    if (!closes) {
      open.push_back(tag);
    } else {
      ASSERT_FALSE(open.empty()) << path;
      EXPECT_EQ(open.back(), tag) << path;
      open.pop_back();
    }
  }
  EXPECT_TRUE(open.empty()) << path;
  for (const std::string& word : words) EXPECT_THAT(svg, HasSubstr(word)) << path;
}

TEST(Latency, DrawsPicturesThatViewersCanOpen) {
  if (!stress::HaveGnuplot()) GTEST_SKIP() << "gnuplot is not installed (gnuplot-nox)";
  const TemporaryDirectory directory;
  const std::string plots = directory.path() + "/new/plots";
  const CommandResult result = Latency(
      {"--duration=800ms", "--procs=1", "--slice=1ms", "--hogs=loop,recursion", "--plot", plots});
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  const std::map<std::string, std::vector<std::string>> pictures = {
      {"percentiles", {"preempt_total", "99 %", "us"}},
      {"stages", {"preempt_accepted", "p50 to p90"}},
      {"over_time", {"preempt_total", "time (s)"}},
      {"slices", {"slice asked for", "1 ms"}}};
  for (const auto& [name, words] : pictures) {
    ExpectPng(plots + "/" + name + ".png");
    ExpectSvg(plots + "/" + name + ".svg", words);
  }
  EXPECT_THAT(result.err, testing::Not(HasSubstr("gnuplot")));
}

TEST(Latency, WithoutGnuplotSaysWhatToInstall) {
  const TemporaryDirectory empty;
  const char* path = std::getenv("PATH");
  const std::string saved = path == nullptr ? "" : path;
  setenv("PATH", empty.path().c_str(), 1);
  const CommandResult result = Latency({"--plot", empty.path() + "/plots"});
  setenv("PATH", saved.c_str(), 1);
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("gnuplot-nox"));
}

// A file as --json writes it, with one stage of 1000 values in two buckets.
std::string SavedRun(int from_ns, double mean_ns) {
  const std::string lower = std::to_string(from_ns), upper = std::to_string(from_ns * 2);
  return R"({"parameters": {"duration_ns": 1e9, "procs": [1], "slices_ns": [1000000],
             "hogs": {"loop": 2}, "mechanism": "both", "pace": "slice"},
             "stages": {"ack_signal": {"text": "t", "count": 1000, "mean_ns": )" +
         std::to_string(mean_ns) + R"(, "max_ns": )" + std::to_string(from_ns * 3) +
         R"(, "buckets": [[)" + lower + ", " + upper + ", 900], [" + upper + ", " +
         std::to_string(from_ns * 3) + ", 100]]}}}";
}

std::map<std::string, Json> Rows(const Json& comparison) {
  std::map<std::string, Json> rows;
  for (const Json& row : comparison["rows"].array()) {
    rows[row["stage"].string() + " " + row["figure"].string()] = row;
  }
  return rows;
}

TEST(Compare, FindsNoDifferenceInTheSameRun) {
  const TemporaryFile run, json;
  ASSERT_EQ(Latency({"--duration=800ms", "--procs=1", "--slice=1ms", "--hogs=loop:2", "--json",
                     run.path()})
                .status,
            0);
  const CommandResult result =
      Latency({"--compare", run.path(), run.path(), "--json", json.path()});
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  int same = 0;
  for (const auto& [name, row] : Rows(Json::Parse(json.Contents()))) {
    const std::string verdict = row["verdict"].string();
    EXPECT_TRUE(verdict == "no difference" || verdict == "too few values") << name << verdict;
    EXPECT_EQ(row["a_ns"].number(), row["b_ns"].number());
    if (verdict == "no difference") {
      ++same;
      EXPECT_LE(row["ratio_low"].number(), 1) << name;
      EXPECT_GE(row["ratio_high"].number(), 1) << name;
    }
  }
  EXPECT_GT(same, 0);
}

TEST(Compare, FindsTheSlicesOfTwoRunsDifferent) {
  const TemporaryFile a, b, csv;
  for (const auto& [file, slice] : {std::pair{&a, "--slice=500us"}, {&b, "--slice=20ms"}}) {
    const CommandResult run = Latency({"--duration=600ms", "--procs=1", "--hogs=loop:3",
                                       "--pace=slice", slice, "--json", file->path()});
    ASSERT_EQ(run.status, 0) << run.out << run.err;
  }
  const CommandResult result = Latency({"--compare", a.path(), b.path(), "--csv", csv.path()});
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_THAT(csv.Contents(), testing::ContainsRegex("slice_length,p50,[^\n]*,longer\n"))
      << result.out;
}

TEST(Compare, JudgesEachStageByItsInterval) {
  const TemporaryFile a(SavedRun(10'000, 17'000)), b(SavedRun(20'000, 34'000)), forth, back;
  ASSERT_EQ(Latency({"--compare", a.path(), b.path(), "--json", forth.path()}).status, 0);
  ASSERT_EQ(Latency({"--compare", b.path(), a.path(), "--json", back.path()}).status, 0);
  const auto slower = Rows(Json::Parse(forth.Contents())),
             faster = Rows(Json::Parse(back.Contents()));
  for (const char* figure : {"ack_signal p50", "ack_signal p99"}) {
    EXPECT_EQ(slower.at(figure)["verdict"].string(), "slower");
    EXPECT_NEAR(slower.at(figure)["ratio"].number(), 2, 1e-6);
    EXPECT_GT(slower.at(figure)["ratio_low"].number(), 1.5);
    EXPECT_LT(slower.at(figure)["ratio_high"].number(), 2.5);
    EXPECT_EQ(faster.at(figure)["verdict"].string(), "faster");
  }
  EXPECT_EQ(slower.at("ack_signal p50")["a_count"].number(), 1000);
}

TEST(Compare, RefusesWhatIsNoRun) {
  const TemporaryFile good(SavedRun(10'000, 17'000));
  std::string unsorted = SavedRun(10'000, 17'000), short_count = unsorted;
  unsorted.replace(unsorted.find("[[10000"), 7, "[[50000");
  short_count.replace(short_count.find("1000,"), 5, "1001,");
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[1, 2"), std::string(1000, '['),
        std::string(R"({"points": []})"), std::string(R"({"stages": 5, "parameters": {}})"),
        unsorted, short_count}) {
    const TemporaryFile bad(text);
    const CommandResult result = Latency({"--compare", good.path(), bad.path()});
    EXPECT_EQ(result.status, 2) << text;
    EXPECT_THAT(result.err, AllOf(HasSubstr(bad.path()), HasSubstr("--json wrote"))) << text;
  }
}

// Every slice has a timer of its own: sysmon may wait for a CPU longer than a part of a sweep
// takes.
class Sweep : public testing::Test {
 protected:
  void SetUp() override { setenv("URGE_DEBUG", "preempttimer=1", 1); }
  void TearDown() override { unsetenv("URGE_DEBUG"); }
};

TEST_F(Sweep, MeasuresEveryPoint) {
  const TemporaryFile json_file, csv_file;
  const TemporaryDirectory plots;
  std::vector<std::string> arguments = {
      "--sweep", "--duration=300ms", "--procs=1", "--slice=100us,2ms", "--hogs=loop:2,recursion:2",
      "--json",  json_file.path(),   "--csv",     csv_file.path()};
  const bool draw = stress::HaveGnuplot();
  if (draw) arguments.insert(arguments.end(), {"--plot", plots.path()});
  const CommandResult result = Latency(arguments);
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("overhead"), HasSubstr("100us"), HasSubstr("recursion:2")));
  EXPECT_THAT(result.err, HasSubstr("point 1 of 4")) << "progress";

  const Json json = Json::Parse(json_file.Contents());
  ASSERT_EQ(json["points"].array().size(), 4u);
  for (const Json& point : json["points"].array()) {
    EXPECT_EQ(point["failure"].string(), "");
    // A result of the loop takes longer than a part of so short a round.
    if (point["hog"].string() == "recursion") {
      EXPECT_GT(point["verified"].number(), 0);
    }
    EXPECT_GT(point["preemptions"].number(), 0);
    EXPECT_LE(point["overhead"]["low"].number(), point["overhead"]["value"].number());
    EXPECT_GE(point["overhead"]["high"].number(), point["overhead"]["value"].number());
    EXPECT_LT(point["overhead"]["value"].number(), 1);
    EXPECT_GT(point["rounds"].array().size(), 1u);
  }
  for (const std::size_t hog : {0u, 2u}) {
    EXPECT_GT(json["points"][hog]["preemptions"].number(),
              json["points"][hog + 1]["preemptions"].number())
        << "shorter slices, more preemptions";
  }
  EXPECT_EQ(Split(csv_file.Contents(), '\n').size(), 5u);
  if (!draw) GTEST_SKIP() << "gnuplot is not installed (gnuplot-nox)";
  ExpectPng(plots.path() + "/overhead.png");
  ExpectSvg(plots.path() + "/overhead.svg", {"work lost", "loop, 1 proc"});
}

}  // namespace

// The command line of stress/latency.

#include "stress/latency/options.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <initializer_list>
#include <set>
#include <thread>

#include "stress/common/args.h"
#include "stress/common/gnuplot.h"
#include "stress/common/hog.h"
#include "stress/common/input.h"

namespace latency {
namespace {

using namespace std::chrono_literals;
using stress::BadArgument;
using Duration = std::chrono::nanoseconds;

constexpr char kAbout[] =
    "A laboratory for preemption latency: where did each microsecond between \"should stop\" and\n"
    "\"stopped\" go? Hogs, which never cooperate, keep the processors busy; ends of slices and\n"
    "wake-ups ask them to stop; the runtime times each stage of every preemption. Every result\n"
    "that the hogs compute is verified.\n"
    "\n"
    "  latency                         one run, reported stage by stage\n"
    "  latency --compare A.json B.json two runs, written by --json, side by side\n"
    "  latency --sweep                 what preemption costs: throughput against slice length";

constexpr char kEpilogue[] =
    "Exit status: 0 if something was measured and every result was right; 1 if nothing was, a\n"
    "result was wrong or a run broke down; 2 if an argument is wrong.\n"
    "\n"
    "A run's JSON file holds: parameters; duration_ns; stages, an object with, for each stage:\n"
    "text, count, mean_ns, p50_ns, p90_ns, p99_ns, p99.9_ns, max_ns, buckets [[lower_ns, "
    "upper_ns,\n"
    "count]…]; requests, asked, preemptions and deferrals (counts by kind and cause); missed "
    "(paced\n"
    "wake-ups for which the one before was still pending); hogs [name, detail, cpu_ns, verified,\n"
    "failure]; over_time {stage, windows [{end_ns, count, p50_ns, p99_ns, max_ns}]}; exit_status.\n"
    "Of a sweep: parameters, points [{hog, procs, slice_ns, preemptions_per_s, overhead {value, "
    "low,\n"
    "high}, …}]. --hdr writes HdrHistogram's percentile distribution, in microseconds.\n"
    "\n"
    "--compare judges by a bootstrap of both runs' histograms, which takes the values of a run as\n"
    "independent. Two runs of one set-up on a machine that does other things, too, may differ for\n"
    "its reasons: repeat the runs before you believe a small difference.\n"
    "\n"
    "A sweep runs one kind of hog at a time, in rounds: as many hogs as processors, so that "
    "nobody\n"
    "waits and nobody is preempted, then all of them. Overhead is what the second do less in the\n"
    "same processor time.\n";

std::string Quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

Mechanism ParseMechanism(std::string_view text) {
  for (const Mechanism m :
       {Mechanism::kPrologue, Mechanism::kSignal, Mechanism::kBoth, Mechanism::kWakeup}) {
    if (text == ToString(m)) return m;
  }
  throw BadArgument(Quoted(text) + " is no mechanism; prologue, signal, both or wakeup");
}

// slice, TIME, every:TIME or random:TIME
Pace ParsePace(std::string_view text) {
  if (text == "slice") return {Pace::kSlice, {}};
  Pace::Kind kind = Pace::kSleep;
  const std::size_t colon = text.find(':');
  if (colon != text.npos) {
    const std::string_view word = text.substr(0, colon);
    if (word == "every") {
      kind = Pace::kEvery;
    } else if (word == "random") {
      kind = Pace::kRandom;
    } else if (word != "sleep") {
      throw BadArgument(Quoted(word) + " is no pace; slice, TIME, every:TIME or random:TIME");
    }
    text.remove_prefix(colon + 1);
  }
  return {kind, stress::ParseDuration(text, 20us, 10s)};
}

template <class T>
std::vector<T> ParseList(std::string_view text, auto parse) {
  std::vector<T> items;
  while (true) {
    const std::size_t comma = text.find(',');
    items.push_back(parse(text.substr(0, comma)));
    if (std::ranges::count(items, items.back()) > 1) {
      throw BadArgument(Quoted(text.substr(0, comma)) + " is named twice; once is allowed");
    }
    if (comma == text.npos) return items;
    text.remove_prefix(comma + 1);
  }
}

double ParseConfidence(std::string_view text) {
  double percent = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error != std::errc() || rest != text.data() + text.size() ||
      !(percent >= 50 && percent <= 99.9)) {
    throw BadArgument(Quoted(text) +
                      " is no level of confidence; 50 to 99.9 (percent) are allowed");
  }
  return percent / 100;
}

std::string NotEmpty(std::string_view text, const char* needed) {
  if (text.empty()) throw BadArgument("an empty name; " + std::string(needed) + " is needed");
  return std::string(text);
}

// The whole command line: what was given, then what that means.
class CommandLine {
 public:
  CommandLine() : args_("latency", kAbout) {
    AddSetUp();
    AddOutput();
    AddOther();
    args_.Epilogue(kEpilogue);
  }
  Options ParseOrExit(int argc, char** argv) {
    args_.ParseOrExit(argc, argv);
    if (options_.mode == Mode::kCompare) {
      FinishCompare();
    } else {
      SetDefaults();
      options_.mode == Mode::kSweep ? FinishSweep() : FinishRun();
      CheckMechanism();
      CheckFiles();
    }
    CheckPlot();
    return std::move(options_);
  }

 private:
  void Option(const char* name, const char* value, const std::string& help,
              std::function<void(std::string_view)> set) {
    args_.Option(name, value, help, [this, name, set = std::move(set)](std::string_view v) {
      given_.insert(name);
      set(v);
    });
  }
  bool Given(const char* name) const { return given_.contains(name); }
  // Dies if one of the options was given beside `mode`.
  void Refuse(std::initializer_list<const char*> names, const std::string& mode) const {
    for (const char* name : names) {
      if (Given(name)) args_.Die("--" + std::string(name) + " doesn't go with " + mode);
    }
  }

  void AddSetUp();
  void AddOutput();
  void AddOther();
  void SetDefaults();
  void FinishRun();
  void FinishSweep();
  void FinishCompare();
  void CheckMechanism();
  void CheckFiles();
  void CheckPlot();

  stress::Args args_;
  Options options_;
  std::set<std::string> given_;
};

void CommandLine::AddSetUp() {
  Option("duration", "TIME", "how long to measure (default 10s; each point of a sweep: 2s)",
         [this](auto v) { options_.duration = stress::ParseDuration(v, 100ms, 24h); });
  Option("warmup", "TIME", "how long to run before measuring (default 200ms)",
         [this](auto v) { options_.warmup = stress::ParseDuration(v, 0ns, 1h); });
  Option("procs", "N",
         "how many goroutines run at once (default 2, or 1 on a machine with one\n"
         "processor); of a sweep: a list (default 1,2)",
         [this](auto v) {
           options_.procs = ParseList<int>(
               v, [](auto item) { return static_cast<int>(stress::ParseInteger(item, 1, 1024)); });
         });
  Option("slice", "TIME",
         "how long a goroutine may run while others wait (default 10ms, 100ms with\n"
         "--mechanism wakeup); of a sweep: a list (default 50us to 10ms)",
         [this](auto v) {
           options_.slices = ParseList<Duration>(
               v, [](auto item) { return stress::ParseDuration(item, 20us, 10s); });
         });
  Option("hogs", "KIND:N,…",
         stress::HogsHelp("one of each; with --mechanism prologue\n"
                          "recursion, of a sweep loop and recursion, two per processor"),
         [this](auto v) { options_.hogs = stress::ParseHogs(v); });
  Option("mechanism", "NAME",
         "what stops goroutines: prologue, signal, both (default), or wakeup: both,\n"
         "but slices so long that it is wake-ups that ask",
         [this](auto v) { options_.mechanism = ParseMechanism(v); });
  Option("pace", "PACE",
         "what asks goroutines to stop beside the ends of slices:\n"
         "  slice        nothing\n"
         "  TIME         a goroutine that sleeps so long in a loop (default 1ms)\n"
         "  every:TIME   a thread that wakes a goroutine at this interval\n"
         "  random:TIME  the same at exponentially distributed intervals of this mean",
         [this](auto v) { options_.pace = ParsePace(v); });
  Option("seed", "N", "of random intervals and of the bootstrap (default 1)", [this](auto v) {
    options_.seed = static_cast<std::uint64_t>(stress::ParseInteger(v, 0, INT64_MAX));
  });
  Option("file", "FILE",
         "what zlib, sha256 and regex work on: its first 4 MiB (default: /usr/bin/bash,\n"
         "or another program that exists)",
         [this](auto v) { options_.file = NotEmpty(v, "a readable file"); });
}

void CommandLine::AddOutput() {
  Option("stage", "NAME",
         "the stage that the histogram, --hdr and the plot over time show (default\n" +
             std::string(kTotal) + ")",
         [this](auto v) {
           if (!IsStage(v)) {
             throw BadArgument("there is no stage '" + std::string(v) + "'; the stages are " +
                               StageNames());
           }
           options_.stage = v;
         });
  static constexpr char kNeeded[] = "a file to write to";
  Option("json", "FILE", "write everything to FILE as JSON, too; --compare reads it",
         [this](auto v) { options_.json_file = NotEmpty(v, kNeeded); });
  Option("csv", "FILE", "write the table to FILE as comma-separated values, too",
         [this](auto v) { options_.csv_file = NotEmpty(v, kNeeded); });
  Option("hdr", "FILE",
         "write the stage's percentiles to FILE, as HdrHistogram's plotter reads them",
         [this](auto v) { options_.hdr_file = NotEmpty(v, kNeeded); });
  Option("plot", "DIR", "draw SVG and PNG pictures into DIR, with gnuplot",
         [this](auto v) { options_.plot_directory = NotEmpty(v, "a directory"); });
}

void CommandLine::AddOther() {
  Option("compare", "A.json", "compare run B with run A, stage by stage", [this](auto v) {
    options_.mode = Mode::kCompare;
    options_.inputs.emplace_back(v);
  });
  Option("confidence", "PERCENT", "of the intervals of --compare and --sweep (default 95)",
         [this](auto v) { options_.confidence = ParseConfidence(v); });
  args_.Flag("sweep", "measure the overhead over slices and processors", [this] {
    given_.insert("sweep");
    options_.mode = Mode::kSweep;
  });
  args_.Operands("[B.json]", [this](auto v) {
    if (!Given("compare")) {
      throw BadArgument("no such argument: " + Quoted(v) + " (--help lists what there is)");
    }
    options_.inputs.emplace_back(v);
  });
  args_.Hidden("result-fd", [this](auto v) {
    options_.result_fd = static_cast<int>(stress::ParseInteger(v, 0, 1 << 20));
  });
}

void CommandLine::SetDefaults() {
  const bool sweep = options_.mode == Mode::kSweep;
  const int cpus = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (!Given("duration")) options_.duration = sweep ? 2s : 10s;
  if (options_.procs.empty()) {
    options_.procs = {std::min(2, cpus)};
    if (sweep && cpus > 1) options_.procs = {1, 2};
  }
  if (options_.slices.empty()) {
    options_.slices = {options_.mechanism == Mechanism::kWakeup ? 100ms : 10ms};
    if (sweep) options_.slices = {50us, 100us, 200us, 500us, 1ms, 2ms, 5ms, 10ms};
  }
  if (options_.hogs.empty()) {
    const int two_each = 2 * std::ranges::max(options_.procs);
    if (options_.mechanism == Mechanism::kPrologue) {
      options_.hogs = {{"recursion", two_each}};
    } else if (sweep) {
      options_.hogs = {{"loop", two_each}, {"recursion", two_each}};
    } else {
      options_.hogs = stress::OneOfEachHog();
    }
  }
}

void CommandLine::FinishRun() {
  Refuse({"confidence"}, "a single run; it is for --compare and --sweep");
  if (options_.procs.size() > 1) args_.Die("--procs: a list is for --sweep; one number is needed");
  if (options_.slices.size() > 1) args_.Die("--slice: a list is for --sweep; one time is needed");
  const int hogs = stress::TotalHogs(options_.hogs);
  if (options_.pace.kind == Pace::kSlice) {
    if (options_.mechanism == Mechanism::kWakeup) {
      args_.Die("--pace: slice doesn't go with --mechanism wakeup, since nobody would wake up");
    }
    if (hogs <= options_.Procs()) {
      args_.Die("--hogs: with --pace slice and no more hogs (" + std::to_string(hogs) +
                ") than procs (" + std::to_string(options_.Procs()) +
                ") nobody waits, and nobody would be asked to stop");
    }
    if (options_.duration < 10 * options_.Slice()) {
      args_.Die("--duration: " + stress::ToString(options_.duration) +
                " is too short for a slice of " + stress::ToString(options_.Slice()) +
                "; at least " + stress::ToString(10 * options_.Slice()) + " is needed");
    }
  } else if (hogs < options_.Procs()) {
    args_.Die("--hogs: with fewer hogs (" + std::to_string(hogs) + ") than procs (" +
              std::to_string(options_.Procs()) + ") a processor is idle, and nobody has to stop");
  }
}

void CommandLine::FinishSweep() {
  Refuse({"compare", "pace", "hdr", "stage", "warmup"}, "--sweep");
  if (options_.mechanism == Mechanism::kWakeup) {
    args_.Die("--mechanism: wakeup doesn't go with --sweep, where nobody sleeps");
  }
  for (const stress::HogCount& hog : options_.hogs) {
    const int most = std::ranges::max(options_.procs);
    if (hog.count <= most) {
      args_.Die("--hogs: a sweep runs one kind at a time, and needs more hogs of it than procs (" +
                std::to_string(most) + "): " + hog.kind + ":" + std::to_string(2 * most) + ", say");
    }
  }
  const Duration least = 100 * std::ranges::max(options_.slices);
  if (options_.duration < least) {
    args_.Die("--duration: " + stress::ToString(options_.duration) +
              " is too short for a slice of " +
              stress::ToString(std::ranges::max(options_.slices)) + " in a sweep; at least " +
              stress::ToString(least) + " is needed");
  }
}

void CommandLine::FinishCompare() {
  Refuse(
      {"sweep", "duration", "warmup", "procs", "slice", "hogs", "mechanism", "pace", "file", "hdr"},
      "--compare, which runs nothing");
  if (options_.inputs.size() != 2) {
    args_.Die("--compare: two files are needed, " + std::to_string(options_.inputs.size()) +
              " given: --compare A.json B.json");
  }
}

void CommandLine::CheckMechanism() {
  if (options_.mechanism != Mechanism::kPrologue) return;
  for (const stress::HogCount& hog : options_.hogs) {
    const bool answers = stress::FindHogKind(hog.kind)->has_prologues;
    if (answers && options_.mode == Mode::kRun) return;
    if (!answers && options_.mode == Mode::kSweep) {
      args_.Die("--mechanism: prologue can't stop '" + hog.kind +
                "' hogs, which aren't compiled with -fsplit-stack; recursion hogs are");
    }
  }
  if (options_.mode == Mode::kSweep) return;
  args_.Die("--mechanism: prologue can stop none of the hogs " + stress::HogsText(options_.hogs) +
            "; recursion hogs are compiled with -fsplit-stack");
}

void CommandLine::CheckFiles() {
  try {
    // Found out now rather than in the child.
    options_.file = stress::ReadInput(options_.file).path;
  } catch (const BadArgument& bad) {
    args_.Die(std::string("--file: ") + bad.what());
  }
}

void CommandLine::CheckPlot() {
  if (options_.plot_directory.empty()) return;
  if (!stress::HaveGnuplot()) {
    args_.Die("--plot: gnuplot is not installed; apt-get install gnuplot-nox provides it");
  }
  std::error_code error;
  std::filesystem::create_directories(options_.plot_directory, error);
  if (!error && !std::filesystem::is_directory(options_.plot_directory)) {
    error = std::make_error_code(std::errc::not_a_directory);
  }
  if (error) {
    args_.Die("--plot: '" + options_.plot_directory + "': " + error.message() +
              "; a directory that can be made is needed");
  }
}

}  // namespace

std::string ToString(Mechanism mechanism) {
  switch (mechanism) {
    case Mechanism::kPrologue:
      return "prologue";
    case Mechanism::kSignal:
      return "signal";
    case Mechanism::kBoth:
      return "both";
    case Mechanism::kWakeup:
      return "wakeup";
  }
  return "";
}

std::string ToString(const Pace& pace) {
  switch (pace.kind) {
    case Pace::kSlice:
      return "slice";
    case Pace::kSleep:
      return stress::ToString(pace.period);
    case Pace::kEvery:
      return "every:" + stress::ToString(pace.period);
    case Pace::kRandom:
      return "random:" + stress::ToString(pace.period);
  }
  return "";
}

Options ParseOptionsOrExit(int argc, char** argv) { return CommandLine().ParseOrExit(argc, argv); }

std::vector<std::string> ChildArguments(const Options& options) {
  std::vector<std::string> arguments = {
      "--duration=" + stress::ToString(options.duration),
      "--procs=" + std::to_string(options.Procs()),
      "--slice=" + stress::ToString(options.Slice()),
      "--hogs=" + stress::HogsText(options.hogs),
      "--mechanism=" + ToString(options.mechanism),
      "--seed=" + std::to_string(options.seed),
      "--file=" + options.file,
  };
  if (options.mode == Mode::kSweep) {
    arguments.push_back("--sweep");
  } else {
    arguments.push_back("--warmup=" + stress::ToString(options.warmup));
    arguments.push_back("--pace=" + ToString(options.pace));
    arguments.push_back("--stage=" + options.stage);
  }
  return arguments;
}

}  // namespace latency

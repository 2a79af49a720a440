// The command line of stress/fairness.

#include "stress/fairness/options.h"

#include <algorithm>
#include <thread>

#include "stress/common/args.h"
#include "stress/common/input.h"

namespace fairness {
namespace {

using namespace std::chrono_literals;
using stress::BadArgument;

constexpr char kAbout[] =
    "Shows whether urge's preemption is fair. Goroutines that never cooperate (hogs) share a few\n"
    "processors with goroutines that must be on time: tickers that sleep 1 ms in a loop and a "
    "pair\n"
    "that plays ping-pong over unbuffered channels. The same work runs twice, each time in a "
    "process\n"
    "of its own: with preemption, and with preemption off. Every result that the hogs compute is\n"
    "verified.";

constexpr char kEpilogue[] =
    "Exit status: 0 if nobody starved and every result was right; 1 if some goroutine starved, a\n"
    "result was wrong or a phase broke down; 2 if an argument is wrong. Starved is a hog with "
    "less\n"
    "than half of its fair share of the hogs' processor time, a ticker that came 1 s late (or half "
    "of\n"
    "the duration, if that is less), a ping-pong pair that was silent for so long. The phase with\n"
    "preemption off only counts if it is the only one (--no-preempt); goroutines will starve in it "
    "as\n"
    "soon as there are more hogs than processors.\n"
    "\n"
    "Processor time is measured by the hogs themselves with the processor's time stamp counter, "
    "not\n"
    "by the runtime.\n"
    "\n"
    "The JSON file holds: parameters; phases, an array with, for each phase: preemption "
    "(boolean),\n"
    "duration_ns, jain_index, hogs [name, detail, cpu_ns, share, slice {count, p50_ns, p99_ns, "
    "max_ns},\n"
    "longest_wait_ns, verified, failure], tickers [ticks, lateness {…}], ticker_lateness {…},\n"
    "ping_pong {round_trips, round_trips_per_s, round_trip {…}, longest_silence_ns, failure},\n"
    "requests, preemptions, signals and deferrals (counts by kind and cause), request_to_stop (by\n"
    "prologue and by signal) {…}, starved [names]; and verdict {nobody_starved, wrong_results,\n"
    "exit_status}.\n";

// In the time given each hog should have had several turns.
void CheckDuration(const Options& options, const stress::Args& args) {
  const int turns_per_proc = (options.TotalHogs() + 1 + options.procs - 1) / options.procs;
  const auto least = 3 * turns_per_proc * options.slice;
  if (options.duration < least) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(least);
    args.Die("--duration: " + stress::ToString(options.duration) + " is too short to judge " +
             std::to_string(options.TotalHogs()) + " hogs on " + std::to_string(options.procs) +
             " procs with a slice of " + stress::ToString(options.slice) + "; at least " +
             stress::ToString(ms) + " is needed");
  }
}

}  // namespace

Options ParseOptionsOrExit(int argc, char** argv) {
  Options options;
  const int cpus = std::max(1u, std::thread::hardware_concurrency());
  options.procs = std::min(2, cpus);

  stress::Args args("fairness", kAbout);
  args.Option("duration", "TIME", "how long each of the two phases lasts (default 10s)",
              [&](auto v) { options.duration = stress::ParseDuration(v, 100ms, 24h); });
  args.Option("procs", "N",
              "how many goroutines run at once (default 2, or 1 on a machine with one processor)",
              [&](auto v) { options.procs = static_cast<int>(stress::ParseInteger(v, 1, 1024)); });
  args.Option("slice", "TIME", "how long a goroutine may run while others wait (default 10ms)",
              [&](auto v) { options.slice = stress::ParseDuration(v, 20us, 10s); });
  args.Option("hogs", "KIND:N,…", stress::HogsHelp("one of each"),
              [&](auto v) { options.hogs = stress::ParseHogs(v); });
  args.Option("file", "FILE",
              "what zlib, sha256 and regex work on: its first 4 MiB (default: /usr/bin/bash,\n"
              "or another program that exists)",
              [&](auto v) {
                if (v.empty()) throw BadArgument("an empty name; a readable file is needed");
                options.file = v;
              });
  args.Option("json", "FILE", "write all figures to FILE as JSON, too", [&](auto v) {
    if (v.empty()) throw BadArgument("an empty name; a file to write to is needed");
    options.json_file = v;
  });
  args.Option("trace", "FILE",
              "write a trace of the phase with preemption (with --no-preempt, of the one without) "
              "to\nFILE; it opens in ui.perfetto.dev and chrome://tracing",
              [&](auto v) {
                if (v.empty()) throw BadArgument("an empty name; a file to write to is needed");
                options.trace_file = v;
              });
  args.Flag("no-preempt", "only run the phase with preemption off",
            [&] { options.modes = {Mode::kUnpreempted}; });
  args.Hidden("phase", [&](auto v) {
    options.modes = {v == "preempted" ? Mode::kPreempted : Mode::kUnpreempted};
  });
  args.Hidden("result-fd", [&](auto v) {
    options.result_fd = static_cast<int>(stress::ParseInteger(v, 0, 1 << 20));
  });
  args.Epilogue(kEpilogue);
  args.ParseOrExit(argc, argv);
  CheckDuration(options, args);
  try {
    // Found out now rather than in the child.
    options.file = stress::ReadInput(options.file).path;
  } catch (const BadArgument& bad) {
    args.Die(std::string("--file: ") + bad.what());
  }
  return options;
}

std::vector<std::string> ChildArguments(const Options& options, Mode mode) {
  std::vector<std::string> arguments = {
      "--duration=" + stress::ToString(options.duration),
      "--procs=" + std::to_string(options.procs),
      "--slice=" + stress::ToString(options.slice),
      "--hogs=" + stress::HogsText(options.hogs),
      "--file=" + options.file,
      std::string("--phase=") + (mode == Mode::kPreempted ? "preempted" : "unpreempted"),
  };
  if (!options.trace_file.empty() && mode == options.modes.front()) {
    arguments.push_back("--trace=" + options.trace_file);
  }
  return arguments;
}

}  // namespace fairness

// stress/latency: where did each microsecond between "should stop" and "stopped" go?
//
//  1. The parent process reads the command line and runs the measurement in a child: itself. A
//     crash or a hang of it is reported and doesn't take the report with it.
//  2. The child measures (run.cc, sweep.cc) and writes the figures to a pipe (result.cc).
//  3. The parent prints (report.cc), writes files (files.cc) and draws (plot.cc).

#include <exception>
#include <iostream>

#include "stress/common/args.h"
#include "stress/common/child.h"
#include "stress/common/output_file.h"
#include "stress/latency/compare.h"
#include "stress/latency/files.h"
#include "stress/latency/options.h"
#include "stress/latency/plot.h"
#include "stress/latency/report.h"
#include "stress/latency/run.h"
#include "stress/latency/sweep.h"

namespace latency {
namespace {

int RunChild(const Options& options) {
  if (options.mode == Mode::kSweep) {
    stress::WriteResult(options.result_fd, MeasurePoint(options));
  } else {
    RunResult result = MeasureRun(options);
    stress::WriteResult(options.result_fd, Serialize(result));
  }
  // The runtime has nothing more to do; its threads end with the process.
  return stress::kExitGood;
}

RunResult RunInChild(const Options& options) {
  // Preparation takes about a second, more on a slow or busy machine.
  constexpr auto kGrace = std::chrono::seconds(60);
  RunResult result;
  stress::ChildResult child =
      stress::RunSelf(ChildArguments(options), options.duration + options.warmup + kGrace);
  if (child.failure.empty() && !Deserialize(child.output, result)) {
    child.failure = "gave no result";
  }
  if (!child.failure.empty()) result = {};
  result.failure = child.failure;
  return result;
}

int RunAndReport(const Options& options) {
  stress::OutputFile json("latency: --json", options.json_file);
  stress::OutputFile csv("latency: --csv", options.csv_file);
  stress::OutputFile hdr("latency: --hdr", options.hdr_file);
  PrintHeader(std::cout, options);
  const RunResult result = RunInChild(options);
  PrintReport(std::cout, options, result);
  bool written = json.Write([&](std::ostream& out) { WriteJson(out, options, result); });
  written = csv.Write([&](std::ostream& out) { WriteCsv(out, result); }) && written;
  written = hdr.Write([&](std::ostream& out) { WriteHdr(out, options, result); }) && written;
  if (!options.plot_directory.empty() && result.failure.empty()) DrawRun(options, result);
  return result.WhatIsWrong().empty() && written ? stress::kExitGood : stress::kExitBad;
}

int Main(int argc, char** argv) {
  const Options options = ParseOptionsOrExit(argc, argv);
  if (options.result_fd >= 0) return RunChild(options);
  switch (options.mode) {
    case Mode::kRun:
      return RunAndReport(options);
    case Mode::kSweep:
      return Sweep(options);
    case Mode::kCompare:
      return Compare(options);
  }
  return stress::kExitBad;
}

}  // namespace
}  // namespace latency

int main(int argc, char** argv) {
  try {
    return latency::Main(argc, argv);
  } catch (const stress::BadArgument& bad) {
    std::cerr << "latency: " << bad.what() << '\n';
    return stress::kExitUsage;
  } catch (const std::exception& error) {
    std::cerr << "latency: " << error.what() << '\n';
    return stress::kExitBad;
  }
}

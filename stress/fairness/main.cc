// stress/fairness: does everybody get their share, and those in a hurry in time?
//
//  1. The parent process reads the command line and runs each phase in a child: itself, with
//     --phase. A crash or a hang of one is reported and doesn't take the report with it.
//  2. A child runs its phase (phase.cc) and writes the figures to a pipe (result.cc).
//  3. The parent prints the phases side by side and judges them (report.cc).

#include <cerrno>
#include <cstring>
#include <exception>
#include <iostream>

#include "stress/common/args.h"
#include "stress/common/child.h"
#include "stress/common/output_file.h"
#include "stress/fairness/options.h"
#include "stress/fairness/phase.h"
#include "stress/fairness/report.h"

namespace fairness {
namespace {

int RunChild(const Options& options) {
  PhaseResult result = RunPhase(options, options.modes.front());
  for (const std::string& failure : result.Failures()) std::cerr << "fairness: " << failure << '\n';
  stress::WriteResult(options.result_fd, Serialize(result));
  std::cout.flush();
  // The runtime has nothing more to do; its threads end with the process.
  return stress::kExitGood;
}

PhaseResult RunInChild(const Options& options, Mode mode) {
  // Preparation takes about a second, more on a slow or busy machine.
  constexpr auto kGrace = std::chrono::seconds(60);
  PhaseResult result;
  stress::ChildResult child =
      stress::RunSelf(ChildArguments(options, mode), options.duration + kGrace);
  if (child.failure.empty() && !Deserialize(child.output, result)) {
    child.failure = "gave no result";
  }
  result.failure = child.failure;
  return result;
}

int Main(int argc, char** argv) {
  const Options options = ParseOptionsOrExit(argc, argv);
  if (options.result_fd >= 0) return RunChild(options);

  stress::OutputFile json("fairness: --json", options.json_file);
  // Found out now rather than in the child.
  if (!options.trace_file.empty() && !std::ofstream(options.trace_file)) {
    std::cerr << "fairness: --trace: '" << options.trace_file << "': " << std::strerror(errno)
              << "; a file that can be written is needed\n";
    return stress::kExitUsage;
  }
  PrintHeader(std::cout, options);
  std::vector<ModeResult> phases;
  for (const Mode mode : options.modes) phases.push_back({mode, RunInChild(options, mode)});
  PrintReport(std::cout, options, phases);
  if (!json.Write([&](std::ostream& out) { WriteJson(out, options, phases); })) {
    return stress::kExitBad;
  }
  return Judge(phases).good() ? stress::kExitGood : stress::kExitBad;
}

}  // namespace
}  // namespace fairness

int main(int argc, char** argv) {
  try {
    return fairness::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "fairness: " << error.what() << '\n';
    return stress::kExitBad;
  }
}

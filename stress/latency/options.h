// What the user asked for.

#ifndef URGE_STRESS_LATENCY_OPTIONS_H_
#define URGE_STRESS_LATENCY_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "stress/common/bootstrap.h"
#include "stress/common/hog_args.h"
#include "stress/latency/stages.h"

namespace latency {

enum class Mode { kRun, kSweep, kCompare };

// What may stop a goroutine. kWakeup: as kBoth, but slices are so long that wake-ups do the asking.
enum class Mechanism { kPrologue, kSignal, kBoth, kWakeup };

// What makes the runtime ask goroutines to stop, besides the ends of slices.
struct Pace {
  enum Kind {
    kSlice,   // nothing
    kSleep,   // a goroutine that sleeps for `period` in a loop
    kEvery,   // a thread that wakes a goroutine every `period`
    kRandom,  // the same at exponentially distributed intervals with the mean `period`
  } kind = kSleep;
  std::chrono::nanoseconds period = std::chrono::milliseconds(1);
};

struct Options {
  Mode mode = Mode::kRun;
  std::chrono::nanoseconds duration{};  // of a run, or of each point of a sweep
  std::chrono::nanoseconds warmup = std::chrono::milliseconds(200);
  std::vector<int> procs;                        // one, or those of a sweep
  std::vector<std::chrono::nanoseconds> slices;  // one, or those of a sweep
  std::vector<stress::HogCount> hogs;
  Mechanism mechanism = Mechanism::kBoth;
  Pace pace;
  std::uint64_t seed = 1;
  double confidence = 0.95;
  std::string file;                 // for hogs; empty: one that every machine has
  std::string stage{kTotal};        // of the histogram, --hdr and the plot over time
  std::vector<std::string> inputs;  // of --compare
  // Empty: none.
  std::string json_file, csv_file, hdr_file, plot_directory;

  // In a child process only.
  int result_fd = -1;

  int Procs() const { return procs.front(); }
  std::chrono::nanoseconds Slice() const { return slices.front(); }
};

std::string ToString(Mechanism mechanism);
std::string ToString(const Pace& pace);  // as --pace reads it

// The command line; leaves the process if something is wrong with it.
Options ParseOptionsOrExit(int argc, char** argv);

// The command line of a child that does the measuring.
std::vector<std::string> ChildArguments(const Options& options);

}  // namespace latency

#endif  // URGE_STRESS_LATENCY_OPTIONS_H_

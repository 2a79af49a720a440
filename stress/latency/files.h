// The files of a run: JSON, written and read back, CSV, and HdrHistogram's percentiles.

#ifndef URGE_STRESS_LATENCY_FILES_H_
#define URGE_STRESS_LATENCY_FILES_H_

#include <ostream>
#include <string>

#include "stress/common/json.h"
#include "stress/latency/options.h"
#include "stress/latency/result.h"

namespace latency {

void WriteJson(std::ostream& out, const Options& options, const RunResult& result);
void WriteCsv(std::ostream& out, const RunResult& result);
void WriteHdr(std::ostream& out, const Options& options, const RunResult& result);

// The object of what a run or a sweep was asked for.
void WriteParameters(stress::JsonWriter& json, const Options& options);

// What --compare needs of a file that WriteJson wrote.
struct SavedRun {
  std::string path;
  std::string summary;  // the parameters, on a line
  std::vector<StageResult> stages;
};
// Errors: BadArgument if the file can't be read or is none that WriteJson wrote.
SavedRun ReadRun(const std::string& path);

}  // namespace latency

#endif  // URGE_STRESS_LATENCY_FILES_H_

// The report for people, and the JSON file.

#ifndef URGE_STRESS_FAIRNESS_REPORT_H_
#define URGE_STRESS_FAIRNESS_REPORT_H_

#include <ostream>
#include <vector>

#include "stress/fairness/options.h"
#include "stress/fairness/result.h"

namespace fairness {

struct ModeResult {
  Mode mode;
  PhaseResult result;
};

struct Verdict {
  bool starved = false;  // in a phase that counts
  bool wrong_results = false;
  bool broke_down = false;  // some phase didn't end as it should
  bool good() const { return !starved && !wrong_results && !broke_down; }
};
Verdict Judge(const std::vector<ModeResult>& phases);

void PrintHeader(std::ostream& out, const Options& options);
void PrintReport(std::ostream& out, const Options& options, const std::vector<ModeResult>& phases);
void WriteJson(std::ostream& out, const Options& options, const std::vector<ModeResult>& phases);

}  // namespace fairness

#endif  // URGE_STRESS_FAIRNESS_REPORT_H_

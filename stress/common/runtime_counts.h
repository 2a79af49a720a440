// The runtime's counts of preemptions, by kind and cause, with words for people.

#ifndef URGE_STRESS_COMMON_RUNTIME_COUNTS_H_
#define URGE_STRESS_COMMON_RUNTIME_COUNTS_H_

#include <urge/metrics.h>

#include <cstdint>
#include <string>
#include <vector>

namespace stress {

struct Count {
  std::string name;  // for files
  std::string text;  // for the report
  std::uint64_t value = 0;
};
void VisitCounts(auto& archive, std::vector<Count>& counts) {
  archive.List(counts, [&](Count& count) { archive.Values(count.name, count.text, count.value); });
}

std::vector<Count> RequestsOf(const urge::metrics& m);     // why goroutines were asked to stop
std::vector<Count> PreemptionsOf(const urge::metrics& m);  // how they answered
std::vector<Count> SignalsOf(const urge::metrics& m);
std::vector<Count> DeferralsOf(const urge::metrics& m);  // why they were put off

}  // namespace stress

#endif  // URGE_STRESS_COMMON_RUNTIME_COUNTS_H_

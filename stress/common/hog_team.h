// The hogs of a run, as goroutines.
//
//  1. The constructor prepares the kinds on a plain thread, before the runtime starts: it computes
//     what their results must be, and measures how far apart their touches are.
//  2. Spawn starts the hogs; they end soon after their stop flag is raised.
//  3. Finish says how each fared, when all have ended. Spawn may follow again.

#ifndef URGE_STRESS_COMMON_HOG_TEAM_H_
#define URGE_STRESS_COMMON_HOG_TEAM_H_

#include <urge/go.h>
#include <urge/sync.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stress/common/hog.h"
#include "stress/common/hog_args.h"
#include "stress/common/stats.h"

namespace stress {

struct HogResult {
  std::string name;    // kind, and a number if there are several of it
  std::string detail;  // what the kind chose at run time
  double cpu_ns = 0;
  Summary slice_ns;
  double longest_wait_ns = 0;
  std::uint64_t verified = 0;
  std::string failure;  // empty: every result was right
};
void VisitHogResult(auto& archive, HogResult& hog) {
  archive.Values(hog.name, hog.detail, hog.cpu_ns, hog.longest_wait_ns, hog.verified, hog.failure);
  VisitSummary(archive, hog.slice_ns);
}

// As all.go(work), with a name for traces and tracebacks.
template <class F>
void GoNamed(urge::wait_group& all, std::string_view name, F work) {
  all.add(1);
  urge::go({.name = name}, [&all, work = std::move(work)] {
    work();
    all.done();
  });
}

class HogTeam {
 public:
  // The hogs are to share `procs` processors under `slice`. `input` outlives the team.
  HogTeam(const std::vector<HogCount>& hogs, std::string_view input, int procs,
          std::chrono::nanoseconds slice);

  // Starts the first `most` hogs. `stop` and `all` outlive them.
  void Spawn(urge::wait_group& all, const std::atomic<bool>& stop, std::size_t most = SIZE_MAX);

  // Of the hogs spawned last, at any time.
  std::vector<double> CpuTicks() const;
  std::uint64_t WorkDone() const;  // in each kind's own unit

  // Requires: the hogs have ended. Who waited until the end waited until `end_ticks`.
  std::vector<HogResult> Finish(std::uint64_t end_ticks);

 private:
  struct Hog {
    std::string name;
    const HogKind* kind;
    SliceMeter::Thresholds thresholds;
    std::unique_ptr<HogRun> run;  // of the last Spawn; null if left out
  };
  std::vector<std::unique_ptr<HogKind>> kinds_;
  std::vector<Hog> hogs_;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_HOG_TEAM_H_

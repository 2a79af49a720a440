// Preparing, starting and judging hogs.

#include "stress/common/hog_team.h"

#include <algorithm>

#include "stress/common/clock.h"

namespace stress {
namespace {

// Thresholds for one kind. With more hogs than processors a hog waits for some slices of others;
// half of that wait tells waits from the moments that the kernel takes from a busy machine's
// threads. Where touches are far apart and slices short, a pause is at most half of a wait, too.
SliceMeter::Thresholds ThresholdsFor(const HogKind& kind, int hogs, int procs,
                                     std::chrono::nanoseconds slice) {
  constexpr double kLeastPauseNs = 20'000;
  const double waiting_slices = static_cast<double>(hogs) / procs - 1;
  const double half_wait_ns =
      std::clamp(waiting_slices / 2, 0.1, 0.5) * static_cast<double>(slice.count());
  const std::uint64_t half_wait = TicksOfNs(std::max(half_wait_ns, kLeastPauseNs));
  const std::uint64_t pause = CalibratePause(kind);
  if (waiting_slices <= 0) return {pause, std::max(pause, half_wait)};
  return {std::min(pause, half_wait), half_wait};
}

}  // namespace

HogTeam::HogTeam(const std::vector<HogCount>& hogs, std::string_view input, int procs,
                 std::chrono::nanoseconds slice) {
  const int total = TotalHogs(hogs);
  for (const HogCount& wanted : hogs) {
    kinds_.push_back(FindHogKind(wanted.kind)->make(input));
    const HogKind& kind = *kinds_.back();
    const auto thresholds = ThresholdsFor(kind, total, procs, slice);
    for (int i = 1; i <= wanted.count; ++i) {
      const std::string number = wanted.count == 1 ? "" : " " + std::to_string(i);
      hogs_.push_back({wanted.kind + number, &kind, thresholds, nullptr});
    }
  }
}

void HogTeam::Spawn(urge::wait_group& all, const std::atomic<bool>& stop, std::size_t most) {
  for (std::size_t i = 0; i < hogs_.size(); ++i) {
    Hog& hog = hogs_[i];
    hog.run = i < most ? std::make_unique<HogRun>(stop, hog.thresholds) : nullptr;
    if (hog.run == nullptr) continue;
    hog.run->meter().Ready();
    GoNamed(all, hog.name, [&hog] {
      if (hog.run->stopped()) return;
      hog.run->meter().Start();
      hog.kind->Work(*hog.run);
    });
  }
}

std::vector<double> HogTeam::CpuTicks() const {
  std::vector<double> ticks;
  for (const Hog& hog : hogs_) {
    if (hog.run) ticks.push_back(static_cast<double>(hog.run->meter().cpu_ticks()));
  }
  return ticks;
}

std::uint64_t HogTeam::WorkDone() const {
  std::uint64_t work = 0;
  for (const Hog& hog : hogs_) work += hog.run ? hog.run->work() : 0;
  return work;
}

std::vector<HogResult> HogTeam::Finish(std::uint64_t end_ticks) {
  std::vector<HogResult> results;
  for (const Hog& hog : hogs_) {
    if (!hog.run) continue;
    SliceMeter& meter = hog.run->meter();
    meter.Finish(end_ticks);
    results.push_back({hog.name, hog.kind->Detail(), NsOfTicks(meter.cpu_ticks()),
                       meter.slices().Summarize(1 / TicksPerNs()),
                       NsOfTicks(meter.longest_wait_ticks()), hog.run->verified(),
                       hog.run->failure()});
  }
  return results;
}

}  // namespace stress

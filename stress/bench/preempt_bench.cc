// How soon and how evenly urge preempts.
//
// The hogs measure themselves with the time stamp counter (SliceMeter); the latencies of requests
// and the counts of signals come from urge::read_metrics().

#include <dirent.h>
#include <unistd.h>
#include <urge/urge.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "stress/common/clock.h"
#include "stress/common/figure.h"
#include "stress/common/hog.h"
#include "stress/common/input.h"
#include "stress/common/stats.h"

namespace {

using namespace std::chrono_literals;
using stress::Figures;
using stress::ReadTicks;

constexpr int kHogs = 4;
// A hog off its processor for so long has ended a slice: it waits for those of 3 others. What the
// kernel takes from the thread for a moment is less.
constexpr double kSliceGapNs = 5e6;

void Start(int procs) {
  urge::options options;
  options.procs = procs;
  urge::start(options);
  urge::allow_preemption("libz.so.1");
}

// Hogs of the kinds named.
class Hogs {
 public:
  explicit Hogs(const std::vector<std::string_view>& names) : input_(stress::ReadInput("")) {
    for (const std::string_view name : names) {
      auto& kind = kinds_.emplace_back(stress::FindHogKind(name)->make(input_.bytes));
      const std::uint64_t pause = stress::CalibratePause(*kind);
      runs_.push_back(std::make_unique<stress::HogRun>(
          stop_, stress::SliceMeter::Thresholds{pause, stress::TicksOfNs(kSliceGapNs)}));
    }
  }
  // Runs them, beside what the caller has spawned into all(), and waits for the end of everything.
  void RunFor(std::chrono::nanoseconds duration) {
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      runs_[i]->meter().Ready();
      all_.go([this, i] {
        runs_[i]->meter().Start();
        kinds_[i]->Work(*runs_[i]);
      });
    }
    std::this_thread::sleep_for(duration);
    stop_ = true;
    all_.wait();
  }
  const std::atomic<bool>& stop() const { return stop_; }
  urge::wait_group& all() { return all_; }
  const std::vector<std::unique_ptr<stress::HogRun>>& runs() const { return runs_; }

 private:
  stress::Input input_;
  std::atomic<bool> stop_{false};
  std::vector<std::unique_ptr<stress::HogKind>> kinds_;
  std::vector<std::unique_ptr<stress::HogRun>> runs_;
  urge::wait_group all_;
};

void TickGap(Figures& figures) {
  Hogs hogs(std::vector<std::string_view>(kHogs, "loop"));
  Start(1);
  stress::Samples gaps;
  hogs.all().go([&] {
    std::uint64_t last = ReadTicks();
    while (!hogs.stop()) {
      urge::sleep_for(1ms);
      const std::uint64_t now = ReadTicks();
      gaps.Add(now - last);
      last = now;
    }
  });
  hogs.RunFor(5s);
  const stress::Summary summary = gaps.Summarize(1 / stress::TicksPerNs() / 1e6);
  figures.Add("tick gap among 4 hogs, p50", summary.p50, "ms");
  figures.Add("tick gap among 4 hogs, p99", summary.p99, "ms");
}

void SliceLength(Figures& figures) {
  Hogs hogs(std::vector<std::string_view>(kHogs, "loop"));
  Start(1);
  hogs.RunFor(5s);
  std::vector<const stress::Samples*> slices;
  for (const auto& run : hogs.runs()) slices.push_back(&run->meter().slices());
  const stress::Summary summary =
      stress::Samples::Summarize(slices, 1 / stress::TicksPerNs() / 1e6);
  figures.Add("slice of 4 hogs, p50", summary.p50, "ms");
  figures.Add("slice of 4 hogs, p99", summary.p99, "ms");
}

void Fairness(Figures& figures) {
  std::vector<std::string_view> names;
  for (const auto& kind : stress::HogKinds()) names.push_back(kind.name);
  Hogs hogs(names);
  Start(2);
  hogs.RunFor(10s);
  std::vector<double> served;
  for (const auto& run : hogs.runs()) {
    served.push_back(static_cast<double>(run->meter().cpu_ticks()));
  }
  figures.Add("Jain's index of 8 unlike hogs, 2 procs", stress::JainIndex(served), "");
}

// Infinite if nothing was ever recorded.
double MedianUs(const urge::latency_distribution& d) {
  if (d.empty()) return std::numeric_limits<double>::infinity();
  return static_cast<double>(d.quantile(0.5).count()) / 1e3;
}

void AckPrologue(Figures& figures) {
  Hogs hogs(std::vector<std::string_view>(kHogs, "recursion"));
  Start(1);
  hogs.RunFor(3s);
  figures.Add("request to stop, by prologue, p50", MedianUs(urge::read_metrics().ack_prologue),
              "us");
}

void AckSignal(Figures& figures) {
  Hogs hogs(std::vector<std::string_view>(kHogs, "loop"));
  Start(1);
  hogs.RunFor(3s);
  figures.Add("request to stop, by signal, p50", MedianUs(urge::read_metrics().ack_signal), "us");
}

void LoneHog(Figures& figures) {
  Hogs hogs({"loop"});
  Start(1);
  hogs.RunFor(2s);
  const urge::metrics m = urge::read_metrics();
  figures.Add("signals for a lone hog in 2 s",
              static_cast<double>(m.signals_sent + m.timer_signals), "");
}

// Context switches so far of all threads but the calling one.
std::uint64_t ContextSwitches() {
  std::uint64_t sum = 0;
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(opendir("/proc/self/task"), closedir);
  while (const dirent* entry = readdir(tasks.get())) {
    const std::string id = entry->d_name;
    if (id.starts_with('.') || id == std::to_string(gettid())) continue;
    std::ifstream status("/proc/self/task/" + id + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.find("ctxt_switches:") == std::string::npos) continue;
      sum += std::stoull(line.substr(line.find(':') + 1));
    }
  }
  return sum;
}

void Idle(Figures& figures) {
  Start(2);
  urge::run([] { urge::sleep_for(1ms); });
  std::this_thread::sleep_for(500ms);
  constexpr auto kWatched = 2s;
  const std::uint64_t before = ContextSwitches();
  std::this_thread::sleep_for(kWatched);
  const auto switches = static_cast<double>(ContextSwitches() - before);
  figures.Add("wake-ups of an idle runtime",
              switches / std::chrono::duration<double>(kWatched).count(), "/s");
}

constexpr stress::BenchCase kCases[] = {
    {"tick-gap", "a goroutine that sleeps 1 ms in a loop, among 4 call-free hogs, 1 proc", TickGap},
    {"slice", "slice length of 4 call-free hogs, 1 proc", SliceLength},
    {"fairness", "processor time of 8 unlike hogs, 2 procs, 10 s", Fairness},
    {"ack-prologue", "request to stop answered by a function prologue", AckPrologue},
    {"ack-signal", "request to stop answered by the signal", AckSignal},
    {"lone-hog", "signals sent to a goroutine that nobody waits for", LoneHog},
    {"idle", "wake-ups of a runtime without work", Idle},
};

}  // namespace

int main(int argc, char** argv) {
  return stress::RunCases(argc, argv, "Figures of urge's preemption.", kCases);
}

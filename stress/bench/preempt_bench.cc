// How soon and how evenly urge preempts.
//
// The hogs measure themselves with the time stamp counter (SliceMeter); the latencies of requests
// and the counts of signals come from urge::read_metrics().

#include <dirent.h>
#include <unistd.h>
#include <urge/urge.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/sched/sched.h"
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

// Hogs that live where they must not be interrupted: how long until they are caught outside of it?
// The slice is short, for many requests. `work(stop)` runs twice, side by side on one processor.
template <class Work>
void Deferral(Figures& figures, std::string_view where, Work work) {
  urge::options options;
  options.procs = 1;
  options.slice = 1ms;
  urge::start(options);
  std::atomic<bool> stop{false};
  urge::wait_group all;
  for (int i = 0; i < 2; ++i) all.go([&] { work(stop); });
  std::this_thread::sleep_for(3s);
  stop = true;
  all.wait();
  const urge::metrics m = urge::read_metrics();
  const std::string name = "request to stop in " + std::string(where);
  // At a prologue that checks, or the end of a call of libc's that looks.
  const auto add = [&](const char* how, const urge::latency_distribution& d) {
    if (d.empty()) return;
    figures.Add(name + how + ", p50", MedianUs(d), "us");
    figures.Add(name + how + ", p99", static_cast<double>(d.quantile(0.99).count()) / 1e3, "us");
    figures.Add(name + how + ", max", static_cast<double>(d.max().count()) / 1e3, "us");
  };
  add(", by signal", m.ack_signal);
  add(", at the end of a call", m.ack_prologue);
  const auto stops = static_cast<double>(m.acks_signal + m.acks_prologue);
  figures.Add("  at the end of a call", 100 * static_cast<double>(m.acks_prologue) / stops, "%");
  figures.Add("  tries per stop", 1 + static_cast<double>(m.deferred()) / stops, "");
}

void DeferralMalloc(Figures& figures) {
  Deferral(figures, "malloc and free", [](const std::atomic<bool>& stop) {
    void* kept[64] = {};
    for (std::size_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
      void*& slot = kept[i % std::size(kept)];
      std::free(slot);
      slot = std::malloc(16 + i * 7919 % 3000);
    }
    for (void* p : kept) std::free(p);
  });
}

void DeferralPrintf(Figures& figures) {
  Deferral(figures, "snprintf", [](const std::atomic<bool>& stop) {
    char text[64];
    for (int i = 0; !stop.load(std::memory_order_relaxed); ++i) {
      std::snprintf(text, sizeof(text), "%d %s %.3f", i, "words", i * 0.37);
    }
  });
}

template <bool kAllowZlib>
void DeferralHog(Figures& figures, std::string_view kind, std::string_view where) {
  const stress::Input input = stress::ReadInput("");
  const auto hog = stress::FindHogKind(kind)->make(input.bytes);
  if (kAllowZlib) urge::allow_preemption("libz.so.1");
  Deferral(figures, where, [&](const std::atomic<bool>& stop) {
    const stress::SliceMeter::Thresholds thresholds{~std::uint64_t{0}, ~std::uint64_t{0}};
    stress::HogRun run(stop, thresholds);
    run.meter().Ready();
    run.meter().Start();
    hog->Work(run);
  });
}

void DeferralMap(Figures& figures) { DeferralHog<false>(figures, "map", "a std::map of strings"); }
void DeferralRegex(Figures& figures) { DeferralHog<false>(figures, "regex", "std::regex"); }
void DeferralZlib(Figures& figures) { DeferralHog<true>(figures, "zlib", "zlib"); }
void DeferralOpaqueZlib(Figures& figures) {
  DeferralHog<false>(figures, "zlib", "zlib, not allowed");
}

// What a switch costs that takes a goroutine from its processor and puts another on it: the time
// that is missing, among the same hogs, from a run with long slices.
thread_local std::uint64_t g_rounds_of_thread = 0;

template <class Hog>
void SwitchCost(Figures& figures, const char* name, Hog hog) {
  urge::options options;
  options.procs = 1;
  urge::start(options);
  constexpr auto kTime = 2s;
  const auto run = [&](int hogs) {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> rounds{0};
    urge::wait_group all;
    const urge::metrics before = urge::read_metrics();
    for (int i = 0; i < hogs; ++i) all.go([&] { rounds += hog(stop); });
    std::this_thread::sleep_for(kTime);
    stop = true;
    all.wait();
    const urge::metrics m = urge::read_metrics() - before;
    return std::pair(static_cast<double>(rounds.load()),
                     static_cast<double>(m.acks_signal + m.acks_prologue));
  };
  urge::sched::g_sched.settings.slice_ns = 100'000'000;
  const auto [few_rounds, few_stops] = run(4);
  urge::sched::g_sched.settings.slice_ns = 200'000;
  const auto [rounds, stops] = run(4);
  const double lost_ns =
      std::chrono::duration<double, std::nano>(kTime).count() * (1 - rounds / few_rounds);
  figures.Add(name, lost_ns / 1e3 / (stops - few_stops), "us");
}

void SwitchFree(Figures& figures) {
  SwitchCost(figures, "a preemption and what follows, free hogs",
             [](const std::atomic<bool>& stop) {
               std::uint64_t rounds = 0;
               while (!stop.load(std::memory_order_relaxed)) ++rounds;
               return rounds;
             });
}

void SwitchBound(Figures& figures) {
  SwitchCost(figures, "a preemption and what follows, thread-bound hogs",
             [](const std::atomic<bool>& stop) {
               std::uint64_t* counter = &g_rounds_of_thread;
               asm volatile("" : "+r"(counter));
               std::uint64_t rounds = 0;
               while (!stop.load(std::memory_order_relaxed)) ++rounds;
               *counter += rounds;
               return rounds;
             });
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
    {"deferral-malloc", "request to stop, in malloc and free", DeferralMalloc},
    {"deferral-map", "request to stop, in a map that allocates", DeferralMap},
    {"deferral-printf", "request to stop, in snprintf", DeferralPrintf},
    {"deferral-regex", "request to stop, in std::regex", DeferralRegex},
    {"deferral-zlib", "request to stop, in zlib that is preemptible", DeferralZlib},
    {"deferral-opaque-zlib", "request to stop, in zlib that is not", DeferralOpaqueZlib},
    {"switch-free", "what a preemption costs, among hogs that run anywhere", SwitchFree},
    {"switch-bound", "what a preemption costs, among hogs bound to their threads", SwitchBound},
    {"lone-hog", "signals sent to a goroutine that nobody waits for", LoneHog},
    {"idle", "wake-ups of a runtime without work", Idle},
};

}  // namespace

int main(int argc, char** argv) {
  return stress::RunCases(argc, argv, "Figures of urge's preemption.", kCases);
}

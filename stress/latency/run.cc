// One run.
//
//  1. On the main thread, before the runtime starts: the hogs are prepared.
//  2. The runtime starts; the hogs and the pacer are spawned; after the warm-up the main thread,
//     which is no goroutine, reads the runtime's metrics, then again after every window, and shows
//     progress.
//  3. When the time is over it reads them a last time, raises the stop flag and waits for all.
//     What was measured is the difference of the first reading and the last.

#include "stress/latency/run.h"

#include <urge/urge.h>

#include <algorithm>
#include <thread>

#include "stress/common/clock.h"
#include "stress/common/input.h"
#include "stress/common/progress.h"
#include "stress/common/text.h"
#include "stress/common/work_time.h"
#include "stress/latency/pacer.h"
#include "stress/latency/stages.h"

namespace latency {
namespace {

using namespace std::chrono_literals;
using stress::NsOfTicks;
using stress::ReadTicks;
using Duration = std::chrono::nanoseconds;

Duration Since(std::uint64_t begin_ticks) {
  return Duration(static_cast<std::int64_t>(NsOfTicks(ReadTicks() - begin_ticks)));
}

// All that grows during a run.
struct Reading {
  urge::metrics metrics;
  stress::Distribution response;
  std::uint64_t missed = 0;

  stress::Distribution Of(std::string_view name) const {
    for (const Stage& stage : Stages()) {
      if (stage.name == name) return stress::DistributionOf(metrics.*stage.field);
    }
    return response;
  }
};
Reading Read(const Pacer& pacer) {
  return {urge::read_metrics(), pacer.Response(), pacer.missed()};
}
Reading operator-(const Reading& later, const Reading& earlier) {
  return {later.metrics - earlier.metrics, Difference(later.response, earlier.response),
          later.missed - earlier.missed};
}

class Run {
 public:
  explicit Run(const Options& options)
      : options_(options),
        input_(stress::ReadInput(options.file)),
        hogs_(options.hogs, input_.bytes, options.Procs(), options.Slice()) {}

  RunResult Measure() {
    StartRuntime(options_);
    Pacer pacer(options_.pace, options_.seed, all_);
    hogs_.Spawn(all_, stop_);
    std::this_thread::sleep_for(options_.warmup);
    const Reading before = Read(pacer);
    const stress::WorkTime time(options_.duration, options_.Procs());
    const std::uint64_t begin = ReadTicks();
    Watch(time, begin, before, pacer);
    const Reading during = Read(pacer) - before;
    const std::uint64_t end = ReadTicks();
    stop_.store(true, std::memory_order_relaxed);
    pacer.Stop();
    all_.wait();
    return Collect(begin, end, during);
  }

 private:
  // Until the time is over: later than was asked for where the hogs have hardly run.
  void Watch(const stress::WorkTime& time, std::uint64_t begin, const Reading& before,
             const Pacer& pacer) {
    constexpr int kWindows = 100;
    const Duration window = std::max<Duration>(options_.duration / kWindows, 100ms);
    stress::Progress progress("latency", options_.duration);
    Reading last = before;
    for (Duration next = window;; next += window) {
      if (Since(begin) < options_.duration) next = std::min(next, options_.duration);
      std::this_thread::sleep_for(next - Since(begin));
      Reading now = Read(pacer);
      const Duration elapsed = Since(begin);
      Note(elapsed, (now - last).Of(options_.stage));
      const bool last_one = time.Over();
      if (last_one || progress.Due(elapsed)) progress.Show(elapsed, Figures(now - before));
      if (last_one) return;
      last = std::move(now);
      // A window that was slept through is part of the one before.
      while (next + window <= elapsed) next += window;
    }
  }
  void Note(Duration elapsed, const stress::Distribution& d) {
    windows_.push_back({static_cast<double>(elapsed.count()), d.Count(), d.Quantile(0.5),
                        d.Quantile(0.99), d.max_ns});
  }
  std::string Figures(const Reading& so_far) const {
    const stress::Distribution d = so_far.Of(options_.stage);
    return stress::FormatCount(so_far.metrics.acks_prologue + so_far.metrics.acks_signal) +
           " preemptions, " + options_.stage + " p50 " + stress::FormatTime(d.Quantile(0.5)) +
           ", p99 " + stress::FormatTime(d.Quantile(0.99)) + ", max " +
           stress::FormatTime(d.max_ns);
  }

  RunResult Collect(std::uint64_t begin, std::uint64_t end, const Reading& during) {
    const urge::metrics& m = during.metrics;
    RunResult result;
    result.duration_ns = NsOfTicks(end - begin);
    result.ticks_invariant = stress::TicksAreInvariant();
    for (const Stage& stage : Stages()) {
      result.stages.push_back({std::string(stage.name), std::string(stage.text), stage.in_chain,
                               stress::DistributionOf(m.*stage.field)});
    }
    if (options_.pace.kind != Pace::kSlice) {
      result.stages.push_back(
          {std::string(kResponse), "a paced wake-up is due -> it runs", false, during.response});
    }
    result.windows = std::move(windows_);
    result.requests = stress::RequestsOf(m);
    result.asked = stress::SignalsOf(m);
    result.asked.insert(result.asked.begin(), {"mark", "by a mark in the guard word", m.marks});
    result.preemptions = stress::PreemptionsOf(m);
    result.deferrals = stress::DeferralsOf(m);
    result.missed = during.missed;
    result.hogs = hogs_.Finish(end);
    return result;
  }

  const Options& options_;
  const stress::Input input_;
  std::atomic<bool> stop_{false};
  stress::HogTeam hogs_;
  std::vector<Window> windows_;
  urge::wait_group all_;
};

}  // namespace

void StartRuntime(const Options& options) {
  urge::options setup;
  setup.procs = options.Procs();
  setup.slice = options.Slice();
  setup.cooperative_preempt = options.mechanism != Mechanism::kSignal;
  setup.async_preempt = options.mechanism != Mechanism::kPrologue;
  urge::start(setup);
  urge::allow_preemption("libz.so.1");
}

RunResult MeasureRun(const Options& options) { return Run(options).Measure(); }

}  // namespace latency

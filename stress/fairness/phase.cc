// One phase.
//
//  1. On the main thread, before the runtime starts: the kinds compute what their results must be,
//     and how far apart their touches are.
//  2. The runtime starts; tickers, the pair and the hogs are spawned; the main thread, which is no
//     goroutine, shows progress and raises the stop flag when the time is over.
//  3. Each goroutine looks at the flag in its own loop and ends, so the phase ends by itself with
//     preemption off, too: goroutines that never ran until then run now, and find that they may
//     stop.
//  4. The figures are collected when all have ended. Who waited until the end waited until the
//  flag.

#include "stress/fairness/phase.h"

#include <urge/urge.h>

#include <memory>
#include <thread>

#include "stress/common/clock.h"
#include "stress/common/hog.h"
#include "stress/common/input.h"
#include "stress/fairness/progress.h"

namespace fairness {
namespace {

using namespace std::chrono_literals;
using stress::NsOfTicks;
using stress::ReadTicks;
using stress::TicksOfNs;

struct Hog {
  std::string name;
  const stress::HogKind* kind;
  std::unique_ptr<stress::HogRun> run;
};

struct Ticker {
  std::uint64_t spawned_ticks = 0;
  std::atomic<std::uint64_t> ticks{0};
  stress::Samples lateness;

  // Sleeps and notes how late it wakes, until the flag is raised. The time until it first ran is
  // lateness, too.
  void Run(const std::atomic<bool>& stop, std::uint64_t sleep_ticks) {
    lateness.Add(ReadTicks() - spawned_ticks);
    while (!stop.load(std::memory_order_relaxed)) {
      const std::uint64_t due = ReadTicks() + sleep_ticks;
      urge::sleep_for(kTickerSleep);
      const std::uint64_t now = ReadTicks();
      lateness.Add(now > due ? now - due : 0);
      ticks.fetch_add(1, std::memory_order_relaxed);
    }
  }
};

struct PingPong {
  urge::chan<std::uint64_t> ping, pong;
  std::atomic<std::uint64_t> round_trips{0};
  std::uint64_t last_ticks = 0;  // when the latest round trip ended
  std::uint64_t longest_silence = 0;
  stress::Samples times;
  std::string failure;

  void NoteSilence(std::uint64_t now) {
    if (now > last_ticks && now - last_ticks > longest_silence) longest_silence = now - last_ticks;
  }
  void Ping(const std::atomic<bool>& stop) {
    for (std::uint64_t n = 0; !stop.load(std::memory_order_relaxed); ++n) {
      const std::uint64_t begin = ReadTicks();
      ping.send(n);
      const std::optional<std::uint64_t> answer = pong.recv();
      if (answer != n + 1) {
        failure = "ping-pong: wrong answer";
        break;
      }
      const std::uint64_t end = ReadTicks();
      times.Add(end - begin);
      NoteSilence(end);
      last_ticks = end;
      round_trips.fetch_add(1, std::memory_order_relaxed);
    }
    ping.close();
  }
  void Pong() {
    while (const std::optional<std::uint64_t> n = ping.recv()) pong.send(*n + 1);
  }
};

// Thresholds for one kind. With more hogs than processors a hog waits for some slices of others;
// half of that wait tells waits from the moments that the kernel takes from a busy machine's
// threads. Where touches are far apart and slices short, a pause is at most half of a wait, too.
stress::SliceMeter::Thresholds ThresholdsFor(const stress::HogKind& kind, const Options& options) {
  constexpr double kLeastPauseNs = 20'000;
  const auto slice_ns = static_cast<double>(options.slice.count());
  const double waiting_slices = static_cast<double>(options.TotalHogs()) / options.procs - 1;
  const double half_wait_ns = std::clamp(waiting_slices / 2, 0.1, 0.5) * slice_ns;
  const std::uint64_t half_wait = TicksOfNs(std::max(half_wait_ns, kLeastPauseNs));
  const std::uint64_t pause = stress::CalibratePause(kind);
  if (waiting_slices <= 0) return {pause, std::max(pause, half_wait)};
  return {std::min(pause, half_wait), half_wait};
}

std::vector<Count> RequestsOf(const urge::metrics& m) {
  return {{"slice", "time slice used up", m.requests_slice},
          {"wakeup", "somebody woke up", m.requests_wakeup},
          {"stop", "stop the world", m.requests_stop}};
}
std::vector<Count> PreemptionsOf(const urge::metrics& m) {
  return {{"prologue", "by a function prologue", m.acks_prologue},
          {"signal", "by signal", m.acks_signal},
          {"voluntary", "stopped by itself first", m.acks_voluntary}};
}
std::vector<Count> SignalsOf(const urge::metrics& m) {
  return {{"sent", "sent", m.signals_sent}, {"timer", "by timer", m.timer_signals}};
}
std::vector<Count> DeferralsOf(const urge::metrics& m) {
  return {{"opaque", "in a library that is not allowed", m.deferred_opaque},
          {"denied", "in a denied function", m.deferred_denied},
          {"runtime", "in the runtime", m.deferred_runtime},
          {"runtime_lock", "under a runtime lock", m.deferred_runtime_lock},
          {"callback", "a foreign frame below", m.deferred_callback},
          {"no_preempt", "under no_preempt", m.deferred_no_preempt},
          {"no_room", "too little stack", m.deferred_no_room},
          {"foreign_stack", "on a foreign stack", m.deferred_foreign_stack},
          {"signal_mask", "signals blocked", m.deferred_signal_mask},
          {"not_wanted", "signal came after the fact", m.deferred_not_wanted}};
}

stress::Summary SummaryOf(const urge::latency_distribution& d) {
  const auto ns = [](std::chrono::nanoseconds t) { return static_cast<double>(t.count()); };
  return {d.count(), ns(d.quantile(0.5)), ns(d.quantile(0.99)), ns(d.max())};
}

// Everything that runs in a phase.
class Phase {
 public:
  Phase(const Options& options, Mode mode)
      : options_(options), mode_(mode), input_(stress::ReadInput(options.file)) {
    for (const HogCount& wanted : options.hogs) {
      kinds_.push_back(stress::FindHogKind(wanted.kind)->make(input_.bytes));
      const stress::HogKind& kind = *kinds_.back();
      const auto thresholds = ThresholdsFor(kind, options);
      for (int i = 1; i <= wanted.count; ++i) {
        const std::string number = wanted.count == 1 ? "" : " " + std::to_string(i);
        hogs_.push_back(
            {wanted.kind + number, &kind, std::make_unique<stress::HogRun>(stop_, thresholds)});
      }
    }
  }

  PhaseResult Run() {
    urge::options setup;
    setup.procs = options_.procs;
    setup.slice = options_.slice;
    setup.cooperative_preempt = setup.async_preempt = setup.wakeup_preempt =
        mode_ == Mode::kPreempted;
    urge::start(setup);
    urge::allow_preemption("libz.so.1");

    if (!options_.trace_file.empty()) urge::trace_start(options_.trace_file);
    const urge::metrics before = urge::read_metrics();
    const std::uint64_t begin = ReadTicks();
    Spawn();
    ShowProgress(begin);
    stop_.store(true, std::memory_order_relaxed);
    const std::uint64_t end = ReadTicks();
    const urge::metrics during = urge::read_metrics() - before;
    all_.wait();
    if (!options_.trace_file.empty()) urge::trace_stop();
    return Collect(begin, end, during);
  }

 private:
  // As all_.go, with a name for traces.
  template <class F>
  void Go(std::string_view name, F work) {
    all_.add(1);
    urge::go({.name = name}, [this, work] {
      work();
      all_.done();
    });
  }

  void Spawn() {
    for (Ticker& ticker : tickers_) {
      ticker.spawned_ticks = ReadTicks();
      Go("ticker", [this, &ticker] {
        ticker.Run(stop_, TicksOfNs(static_cast<double>(kTickerSleep.count())));
      });
    }
    pair_.last_ticks = ReadTicks();
    Go("pong", [this] { pair_.Pong(); });
    Go("ping", [this] { pair_.Ping(stop_); });
    for (Hog& hog : hogs_) {
      hog.run->meter().Ready();
      Go(hog.name, [&hog] {
        if (hog.run->stopped()) return;
        hog.run->meter().Start();
        hog.kind->Work(*hog.run);
      });
    }
  }

  void ShowProgress(std::uint64_t begin) {
    const double duration_ns = static_cast<double>(options_.duration.count());
    Progress progress(mode_ == Mode::kPreempted ? "preempted" : "preemption off",
                      options_.duration);
    for (;;) {
      const double elapsed_ns = NsOfTicks(ReadTicks() - begin);
      if (elapsed_ns >= duration_ns) return;
      const double left_ns = duration_ns - elapsed_ns;
      std::this_thread::sleep_for(std::min(
          progress.Interval(), std::chrono::nanoseconds(static_cast<std::int64_t>(left_ns))));
      Progress::Figures figures;
      for (const Hog& hog : hogs_) {
        figures.hog_cpu.push_back(static_cast<double>(hog.run->meter().cpu_ticks()));
      }
      for (const Ticker& ticker : tickers_) figures.ticks += ticker.ticks;
      figures.round_trips = pair_.round_trips;
      progress.Show(
          std::chrono::nanoseconds(static_cast<std::int64_t>(NsOfTicks(ReadTicks() - begin))),
          figures);
    }
  }

  PhaseResult Collect(std::uint64_t begin, std::uint64_t end, const urge::metrics& during) {
    PhaseResult result;
    const double scale = 1 / stress::TicksPerNs();
    result.duration_ns = NsOfTicks(end - begin);
    result.input_bytes = input_.bytes.size();
    result.ticks_invariant = stress::TicksAreInvariant();
    for (const Hog& hog : hogs_) {
      stress::SliceMeter& meter = hog.run->meter();
      meter.Finish(end);
      result.hogs.push_back({hog.name, hog.kind->Detail(), NsOfTicks(meter.cpu_ticks()),
                             meter.slices().Summarize(scale), NsOfTicks(meter.longest_wait_ticks()),
                             hog.run->verified(), hog.run->failure()});
    }
    std::vector<const stress::Samples*> all_lateness;
    for (const Ticker& ticker : tickers_) {
      result.tickers.push_back({ticker.ticks, ticker.lateness.Summarize(scale)});
      all_lateness.push_back(&ticker.lateness);
    }
    result.lateness_ns = stress::Samples::Summarize(all_lateness, scale);
    pair_.NoteSilence(end);
    result.ping_pong = {pair_.round_trips, pair_.times.Summarize(scale),
                        NsOfTicks(pair_.longest_silence), pair_.failure};
    result.requests = RequestsOf(during);
    result.preemptions = PreemptionsOf(during);
    result.signals = SignalsOf(during);
    result.deferrals = DeferralsOf(during);
    result.prologue_stop_ns = SummaryOf(during.ack_prologue);
    result.signal_stop_ns = SummaryOf(during.ack_signal);
    return result;
  }

  const Options& options_;
  const Mode mode_;
  const stress::Input input_;
  std::atomic<bool> stop_{false};
  std::vector<std::unique_ptr<stress::HogKind>> kinds_;
  std::vector<Hog> hogs_;
  Ticker tickers_[kTickers];
  PingPong pair_;
  urge::wait_group all_;
};

}  // namespace

PhaseResult RunPhase(const Options& options, Mode mode) { return Phase(options, mode).Run(); }

}  // namespace fairness

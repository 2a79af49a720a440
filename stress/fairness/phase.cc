// One phase.
//
//  1. On the main thread, before the runtime starts: the hogs are prepared (hog_team.h).
//  2. The runtime starts; tickers, the pair and the hogs are spawned; the main thread, which is no
//     goroutine, shows progress and raises the stop flag when the time is over.
//  3. Each goroutine looks at the flag in its own loop and ends, so the phase ends by itself with
//     preemption off, too: goroutines that never ran until then run now, and find that they may
//     stop.
//  4. The figures are collected when all have ended. Who waited until the end waited until the
//  flag.

#include "stress/fairness/phase.h"

#include <urge/urge.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "stress/common/clock.h"
#include "stress/common/input.h"
#include "stress/common/progress.h"
#include "stress/common/text.h"

namespace fairness {
namespace {

using namespace std::chrono_literals;
using stress::NsOfTicks;
using stress::ReadTicks;
using stress::TicksOfNs;

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

stress::Summary SummaryOf(const urge::latency_distribution& d) {
  const auto ns = [](std::chrono::nanoseconds t) { return static_cast<double>(t.count()); };
  return {d.count(), ns(d.quantile(0.5)), ns(d.quantile(0.99)), ns(d.max())};
}

// Everything that runs in a phase.
class Phase {
 public:
  Phase(const Options& options, Mode mode)
      : options_(options),
        mode_(mode),
        input_(stress::ReadInput(options.file)),
        hogs_(options.hogs, input_.bytes, options.procs, options.slice) {}

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
  void Spawn() {
    for (Ticker& ticker : tickers_) {
      ticker.spawned_ticks = ReadTicks();
      stress::GoNamed(all_, "ticker", [this, &ticker] {
        ticker.Run(stop_, TicksOfNs(static_cast<double>(kTickerSleep.count())));
      });
    }
    pair_.last_ticks = ReadTicks();
    stress::GoNamed(all_, "pong", [this] { pair_.Pong(); });
    stress::GoNamed(all_, "ping", [this] { pair_.Ping(stop_); });
    hogs_.Spawn(all_, stop_);
  }

  void ShowProgress(std::uint64_t begin) {
    const double duration_ns = static_cast<double>(options_.duration.count());
    stress::Progress progress(mode_ == Mode::kPreempted ? "preempted" : "preemption off",
                              options_.duration);
    for (;;) {
      const double elapsed_ns = NsOfTicks(ReadTicks() - begin);
      if (elapsed_ns >= duration_ns) return;
      const double left_ns = duration_ns - elapsed_ns;
      std::this_thread::sleep_for(std::min(
          progress.Interval(), std::chrono::nanoseconds(static_cast<std::int64_t>(left_ns))));
      progress.Show(
          std::chrono::nanoseconds(static_cast<std::int64_t>(NsOfTicks(ReadTicks() - begin))),
          ProgressFigures());
    }
  }
  std::string ProgressFigures() const {
    const std::vector<double> cpu = hogs_.CpuTicks();
    const double total = std::accumulate(cpu.begin(), cpu.end(), 0.0);
    std::uint64_t ticks = 0;
    for (const Ticker& ticker : tickers_) ticks += ticker.ticks;
    return "least served hog " +
           stress::FormatPercent(total == 0 ? 0 : *std::ranges::min_element(cpu) / total) +
           " (fair: " + stress::FormatPercent(1.0 / static_cast<double>(cpu.size())) + "), " +
           stress::FormatCount(ticks) + " ticks, " + stress::FormatCount(pair_.round_trips) +
           " round trips";
  }

  PhaseResult Collect(std::uint64_t begin, std::uint64_t end, const urge::metrics& during) {
    PhaseResult result;
    const double scale = 1 / stress::TicksPerNs();
    result.duration_ns = NsOfTicks(end - begin);
    result.input_bytes = input_.bytes.size();
    result.ticks_invariant = stress::TicksAreInvariant();
    result.hogs = hogs_.Finish(end);
    std::vector<const stress::Samples*> all_lateness;
    for (const Ticker& ticker : tickers_) {
      result.tickers.push_back({ticker.ticks, ticker.lateness.Summarize(scale)});
      all_lateness.push_back(&ticker.lateness);
    }
    result.lateness_ns = stress::Samples::Summarize(all_lateness, scale);
    pair_.NoteSilence(end);
    result.ping_pong = {pair_.round_trips, pair_.times.Summarize(scale),
                        NsOfTicks(pair_.longest_silence), pair_.failure};
    result.requests = stress::RequestsOf(during);
    result.preemptions = stress::PreemptionsOf(during);
    result.signals = stress::SignalsOf(during);
    result.deferrals = stress::DeferralsOf(during);
    result.prologue_stop_ns = SummaryOf(during.ack_prologue);
    result.signal_stop_ns = SummaryOf(during.ack_signal);
    return result;
  }

  const Options& options_;
  const Mode mode_;
  const stress::Input input_;
  std::atomic<bool> stop_{false};
  stress::HogTeam hogs_;
  Ticker tickers_[kTickers];
  PingPong pair_;
  urge::wait_group all_;
};

}  // namespace

PhaseResult RunPhase(const Options& options, Mode mode) { return Phase(options, mode).Run(); }

}  // namespace fairness

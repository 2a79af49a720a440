// What a person reads at a glance: who got how much, and a sentence that says whether it was fair.

#include "stress/fairness/report.h"

#include <algorithm>
#include <cstdio>
#include <functional>

#include "stress/common/args.h"
#include "stress/common/text.h"

namespace fairness {
namespace {

using stress::FormatBar;
using stress::FormatCount;
using stress::FormatPercent;
using stress::FormatTime;
using stress::Summary;

const char* Title(Mode mode) { return mode == Mode::kPreempted ? "preempted" : "preemption off"; }

std::string FormatIndex(double index) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", index);
  return text;
}

std::string TimeOrDash(const Summary& summary, double ns) {
  return summary.count == 0 ? "-" : FormatTime(ns);
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void PrintHogs(std::ostream& out, const std::vector<ModeResult>& phases) {
  constexpr int kBarCells = 12;
  stress::Table table("llrlrrrrrlr");
  std::vector<std::string> titles = {"", ""}, names = {"hog", ""};
  for (const ModeResult& phase : phases) {
    const bool preempted = phase.mode == Mode::kPreempted;
    titles.insert(titles.end(), {"", Title(phase.mode)});
    names.insert(names.end(), {"share", ""});
    if (preempted) {
      titles.insert(titles.end(), {"", "", ""});
      names.insert(names.end(), {"slice p50", "p99", "max"});
    }
    titles.push_back("");
    names.push_back("longest wait");
  }
  table.Row(titles);
  table.Row(names);
  const PhaseResult& first = phases.front().result;
  for (std::size_t i = 0; i < first.hogs.size(); ++i) {
    std::vector<std::string> row = {"  " + first.hogs[i].name, first.hogs[i].detail};
    for (const ModeResult& phase : phases) {
      const HogResult& hog = phase.result.hogs[i];
      const double share = phase.result.Share(hog);
      // A fair share fills half of the bar.
      row.push_back(FormatPercent(share));
      row.push_back(FormatBar(share / phase.result.FairShare() / 2, kBarCells));
      if (phase.mode == Mode::kPreempted) {
        row.push_back(TimeOrDash(hog.slice_ns, hog.slice_ns.p50));
        row.push_back(TimeOrDash(hog.slice_ns, hog.slice_ns.p99));
        row.push_back(TimeOrDash(hog.slice_ns, hog.slice_ns.max));
      }
      row.push_back(FormatTime(hog.longest_wait_ns));
    }
    table.Row(row);
  }
  table.Print(out);
}

// One line of the lower table: a group, a figure, and its value in each phase.
class Figures {
 public:
  explicit Figures(const std::vector<ModeResult>& phases) : phases_(phases), table_("llrr") {
    std::vector<std::string> titles = {"", ""};
    for (const ModeResult& phase : phases) titles.push_back(Title(phase.mode));
    table_.Row(titles);
  }
  void Line(const std::string& group, const std::string& name,
            const std::function<std::string(const PhaseResult&)>& value) {
    std::vector<std::string> row = {group, name};
    for (const ModeResult& phase : phases_) row.push_back(value(phase.result));
    table_.Row(row);
  }
  // The counts of a group that aren't zero in all phases; a line that says so if all are.
  void Counts(const std::string& group, std::vector<Count> PhaseResult::*counts) {
    std::string title = group;
    for (std::size_t i = 0; i < (phases_.front().result.*counts).size(); ++i) {
      const auto value = [&](const PhaseResult& r) { return (r.*counts)[i].value; };
      const bool all_zero = std::ranges::all_of(
          phases_, [&](const ModeResult& phase) { return value(phase.result) == 0; });
      if (all_zero) continue;
      Line(title, (phases_.front().result.*counts)[i].text,
           [&](const PhaseResult& r) { return FormatCount(value(r)); });
      title.clear();
    }
    if (!title.empty()) Line(title, "none", [](const PhaseResult&) { return "0"; });
  }
  void Print(std::ostream& out) const { table_.Print(out); }

 private:
  const std::vector<ModeResult>& phases_;
  stress::Table table_;
};

void PrintFigures(std::ostream& out, const std::vector<ModeResult>& phases) {
  Figures figures(phases);
  using R = const PhaseResult&;
  figures.Line("Jain's index", "of the hogs' processor time; 1 is fair",
               [](R r) { return FormatIndex(r.JainIndex()); });
  const auto all = [](R r, double Summary::*field) {
    std::vector<double> values;
    for (const HogResult& hog : r.hogs) {
      if (hog.slice_ns.count != 0) values.push_back(hog.slice_ns.*field);
    }
    return values.empty() ? std::string("-") : FormatTime(*std::ranges::max_element(values));
  };
  figures.Line("slice length", "worst hog's p50", [&](R r) { return all(r, &Summary::p50); });
  figures.Line("", "worst hog's p99", [&](R r) { return all(r, &Summary::p99); });
  figures.Line("", "max", [&](R r) { return all(r, &Summary::max); });
  figures.Line("wake-up lateness", "p50", [](R r) { return FormatTime(r.lateness_ns.p50); });
  figures.Line("of 1 ms tickers", "p99", [](R r) { return FormatTime(r.lateness_ns.p99); });
  figures.Line("", "max", [](R r) { return FormatTime(r.lateness_ns.max); });
  figures.Line("", "ticks", [](R r) {
    std::uint64_t ticks = 0;
    for (const TickerResult& ticker : r.tickers) ticks += ticker.ticks;
    return FormatCount(ticks);
  });
  figures.Line("ping-pong", "round trips/s", [](R r) {
    return FormatCount(static_cast<std::uint64_t>(static_cast<double>(r.ping_pong.round_trips) /
                                                  r.duration_ns * 1e9));
  });
  figures.Line("", "round trip p50", [](R r) {
    return TimeOrDash(r.ping_pong.round_trip_ns, r.ping_pong.round_trip_ns.p50);
  });
  figures.Line("", "longest silence",
               [](R r) { return FormatTime(r.ping_pong.longest_silence_ns); });
  figures.Counts("asked to stop", &PhaseResult::requests);
  figures.Counts("stopped", &PhaseResult::preemptions);
  figures.Counts("signals", &PhaseResult::signals);
  figures.Counts("put off for a while", &PhaseResult::deferrals);
  const auto stop = [&](const char* group, const char* name, Summary PhaseResult::*summary) {
    figures.Line(group, name, [=](R r) {
      const Summary& s = r.*summary;
      return s.count == 0 ? std::string("-") : FormatTime(s.p50) + " / " + FormatTime(s.p99);
    });
  };
  stop("request to stop", "by a prologue, p50 / p99", &PhaseResult::prologue_stop_ns);
  stop("", "by signal, p50 / p99", &PhaseResult::signal_stop_ns);
  figures.Line("results", "verified", [](R r) { return FormatCount(r.Verified()); });
  figures.Line("", "wrong", [](R r) { return FormatCount(r.Failures().size()); });
  figures.Print(out);
}

// "6 of 8 hogs, 4 of 4 tickers and the ping-pong pair"
std::string CountStarved(const PhaseResult& r) {
  const std::vector<std::string> starved = r.Starved();
  const auto tickers = std::ranges::count_if(
      starved, [](const std::string& name) { return name.starts_with("ticker"); });
  const bool pair = std::ranges::count(starved, "ping-pong pair") != 0;
  const auto hogs = std::ssize(starved) - tickers - (pair ? 1 : 0);
  return std::to_string(hogs) + " of " + std::to_string(r.hogs.size()) + " hogs, " +
         std::to_string(tickers) + " of " + std::to_string(r.tickers.size()) + " tickers" +
         (pair ? " and the ping-pong pair" : "");
}

std::string DescribeService(const PhaseResult& r) {
  const HogResult& least = r.LeastServed();
  return "the least served hog, " + least.name + ", got " + FormatPercent(r.Share(least)) +
         " of the hogs' time where " + FormatPercent(r.FairShare()) +
         " is fair; no tick came more than " + FormatTime(r.lateness_ns.max) +
         " late; the ping-pong pair was never silent for more than " +
         FormatTime(r.ping_pong.longest_silence_ns) + ".";
}

void PrintVerdict(std::ostream& out, const std::vector<ModeResult>& phases) {
  for (const ModeResult& phase : phases) {
    const PhaseResult& r = phase.result;
    for (const std::string& failure : r.Failures()) {
      out << "WRONG RESULT (" << Title(phase.mode) << "): " << failure << '\n';
    }
    const std::vector<std::string> starved = r.Starved();
    if (phase.mode == Mode::kUnpreempted) {
      out << "With preemption off, "
          << (starved.empty() ? "nobody starved." : CountStarved(r) + " starved.") << '\n';
    } else if (starved.empty()) {
      out << "Nobody starved: " << DescribeService(r) << '\n';
    } else {
      out << "STARVED: " << Join(starved) << ". Of all, " << DescribeService(r) << '\n';
    }
  }
}

}  // namespace

Verdict Judge(const std::vector<ModeResult>& phases) {
  Verdict verdict;
  for (const ModeResult& phase : phases) {
    const bool counts = phase.mode == Mode::kPreempted || phases.size() == 1;
    if (!phase.result.failure.empty()) {
      verdict.broke_down = true;
      continue;
    }
    verdict.wrong_results = verdict.wrong_results || !phase.result.Failures().empty();
    verdict.starved = verdict.starved || (counts && !phase.result.Starved().empty());
  }
  return verdict;
}

void PrintHeader(std::ostream& out, const Options& options) {
  out << "urge fairness: " << options.TotalHogs() << " hogs, " << kTickers
      << " tickers of 1 ms and a ping-pong pair on " << options.procs << " procs, slice "
      << stress::ToString(options.slice) << ", " << stress::ToString(options.duration)
      << (options.modes.size() == 1 ? "" : " each with preemption and without") << ", input "
      << options.file << std::endl;
}

void PrintReport(std::ostream& out, const Options& options, const std::vector<ModeResult>& phases) {
  std::vector<ModeResult> whole;
  for (const ModeResult& phase : phases) {
    if (phase.result.failure.empty()) {
      whole.push_back(phase);
    } else {
      out << "BROKEN DOWN: the phase \"" << Title(phase.mode) << "\" " << phase.result.failure
          << '\n';
    }
  }
  if (whole.empty()) return;
  out << '\n';
  PrintHogs(out, whole);
  out << '\n';
  PrintFigures(out, whole);
  out << '\n';
  if (!whole.front().result.ticks_invariant) {
    out << "The processor doesn't promise a steady time stamp counter; times may be off.\n";
  }
  if (options.TotalHogs() <= options.procs) {
    out << "There are no more hogs than procs, so nobody has to wait for a hog.\n";
  }
  PrintVerdict(out, whole);
}

}  // namespace fairness

// The table of stages, the counts, and the histogram.

#include "stress/latency/report.h"

#include <algorithm>

#include "stress/common/args.h"
#include "stress/common/log_bins.h"
#include "stress/common/text.h"

namespace latency {
namespace {

using stress::Distribution;
using stress::FormatCount;
using stress::FormatPercent;
using stress::FormatTime;

double SumNs(const Distribution& d) { return d.mean_ns * static_cast<double>(d.Count()); }

// What the events are and the means are left out where they would make the lines too long.
void PrintStages(std::ostream& out, const RunResult& result) {
  constexpr int kWidth = 140;
  const int columns = stress::TerminalColumns();
  const bool narrow = columns != 0 && columns < kWidth;
  const StageResult* total = result.Find(kTotal);
  const double whole = total == nullptr ? 0 : SumNs(total->times);
  stress::Table table(narrow ? "lrrrrrrr" : "llrrrrrrrr");
  const auto line = [&](const std::string& name, const std::string& text,
                        const std::vector<std::string>& figures) {
    std::vector<std::string> row = {name};
    if (!narrow) row.push_back(text);
    row.insert(row.end(), figures.begin(), figures.end());
    table.Row(row);
  };
  std::vector<std::string> titles = {"count", "p50", "p90", "p99", "p99.9", "max"};
  if (!narrow) titles.push_back("mean");
  titles.push_back("share");
  line("stage", "", titles);
  bool in_chain = true;
  for (const StageResult& stage : result.stages) {
    const Distribution& d = stage.times;
    if (in_chain && !stage.in_chain) table.Row({""});
    in_chain = stage.in_chain;
    std::vector<std::string> figures = {FormatCount(d.Count())};
    if (!d.empty()) {
      for (const double q : {0.5, 0.9, 0.99, 0.999, 1.0}) {
        figures.push_back(FormatTime(d.Quantile(q)));
      }
      if (!narrow) figures.push_back(FormatTime(d.mean_ns));
      if (stage.in_chain && whole != 0) figures.push_back(FormatPercent(SumNs(d) / whole));
    }
    line(stage.name, stage.text, figures);
  }
  table.Print(out);
}

void PrintCounts(std::ostream& out, const RunResult& result) {
  stress::Table table("llr");
  const auto group = [&](std::string title, const std::vector<stress::Count>& counts) {
    for (const stress::Count& count : counts) {
      if (count.value == 0) continue;
      table.Row({title, count.text, FormatCount(count.value)});
      title.clear();
    }
    if (!title.empty()) table.Row({title, "none", "0"});
  };
  group("why asked to stop", result.requests);
  group("how asked", result.asked);
  group("stopped", result.preemptions);
  group("put off for a while", result.deferrals);
  if (result.missed != 0) {
    group("paced wake-ups", {{"missed", "missed: the one before was pending", result.missed}});
  }
  group("hogs' results", {{"verified", "verified", result.Verified()},
                          {"wrong", "wrong", result.Failures().size()}});
  table.Print(out);
}

void PrintHistogram(std::ostream& out, const StageResult& stage) {
  const Distribution& d = stage.times;
  out << stage.name << " (" << stage.text << "), logarithmic axis of time:\n";
  if (d.empty()) {
    out << "  no values\n";
    return;
  }
  constexpr int kMostRows = 26, kFinest = 10;
  const stress::LogBins bins(d, kMostRows, kFinest, stress::LogBins::kWhole);
  double most = 0;
  for (std::size_t i = 0; i < bins.size(); ++i) most = std::max(most, bins.CountOf(i));
  const auto total = static_cast<double>(d.Count());
  const auto text = [](double count) { return FormatCount(static_cast<std::uint64_t>(count)); };
  const int columns = stress::TerminalColumns() == 0 ? 100 : stress::TerminalColumns();
  const int cells = std::max(10, columns - 41 - static_cast<int>(text(most).size()));
  stress::Table table("rlrrr");
  double seen = 0;
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const double count = bins.CountOf(i);
    seen += count;
    table.Row({"  " + FormatTime(bins.Edge(i)) + " to " + FormatTime(bins.Edge(i + 1)),
               stress::FormatBar(count / most, cells), text(count), FormatPercent(count / total),
               FormatPercent(seen / total)});
  }
  table.Print(out);
}

}  // namespace

void PrintHeader(std::ostream& out, const Options& options) {
  out << "urge latency: " << stress::HogsText(options.hogs) << " on " << options.Procs()
      << " procs, slice " << stress::ToString(options.Slice()) << ", mechanism "
      << ToString(options.mechanism) << ", pace " << ToString(options.pace) << ", "
      << stress::ToString(options.duration) << ", input " << options.file << std::endl;
}

void PrintReport(std::ostream& out, const Options& options, const RunResult& result) {
  if (result.failure.empty()) {
    out << '\n';
    PrintStages(out, result);
    out << '\n';
    PrintCounts(out, result);
    out << '\n';
    if (const StageResult* stage = result.Find(options.stage)) PrintHistogram(out, *stage);
    out << '\n';
    if (!result.ticks_invariant) {
      out << "The processor doesn't promise a steady time stamp counter; times may be off.\n";
    }
    for (const std::string& failure : result.Failures()) out << "WRONG RESULT: " << failure << '\n';
  }
  const std::string wrong = result.WhatIsWrong();
  if (!wrong.empty()) out << "NOT GOOD: " << wrong << ".\n";
}

}  // namespace latency

// The pictures, as gnuplot scripts. Times are in ns, on logarithmic axes with a label at each power
// of ten.

#include "stress/latency/plot.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "stress/common/args.h"
#include "stress/common/gnuplot.h"
#include "stress/common/hdr.h"
#include "stress/common/log_bins.h"
#include "stress/common/text.h"

namespace latency {
namespace {

using stress::Distribution;
using stress::FormatTime;
using stress::GnuplotQuote;
using stress::Picture;

// Colours that people with any kind of colour vision tell apart, for white paper.
// Source: Okabe, Ito, Color Universal Design (2008).
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                    "#e69f00", "#56b4e9", "#7f7f7f"};
constexpr std::size_t kColourCount = std::size(kColours);

// The line of the i-th curve: once all colours are used up, they come again dashed.
std::string LineOf(std::size_t i) {
  return std::string("linewidth 2 linecolor rgb '") + kColours[i % kColourCount] + "' dashtype " +
         std::to_string(i / kColourCount + 1);
}

void Title(std::ostream& out, std::string_view title, std::string_view set_up) {
  out << "set title " << GnuplotQuote(title) << ".\"\\n{/*0.8 \"." << GnuplotQuote(set_up)
      << ".\"}\" font ',16'\n";
}

// "2 ms": a round number of ns.
std::string TicLabel(double ns) {
  std::string text = stress::ToString(std::chrono::nanoseconds(std::llround(ns)));
  text.insert(text.find_first_not_of("0123456789"), " ");
  return text;
}

// A logarithmic axis ("x" or "y") of time from about `low` to `high` ns: a label at each power of
// ten, and in between where there is room.
void TimeAxis(std::ostream& out, const char* axis, double low, double high) {
  const int first = static_cast<int>(std::floor(std::log10(std::max(low, 1.0))));
  const int last = static_cast<int>(std::ceil(std::log10(std::max(high, 10.0))));
  const bool room = high / low < 500;
  out << "set logscale " << axis << " 10\nset " << axis << "tics (";
  for (int power = first; power <= last; ++power) {
    for (int step = 1; step < 10; ++step) {
      const double ns = std::pow(10, power) * step;
      const bool labelled = step == 1 || (room && (step == 2 || step == 5));
      out << (power == first && step == 1 ? "" : ", ") << '\'' << (labelled ? TicLabel(ns) : "")
          << "' " << ns << (labelled ? "" : " 1");
    }
  }
  out << ")\n";
}

struct Curve {
  std::string title;
  const Distribution* times;
  std::string line;
};

// Curves over a percentile axis on which each nine takes as much room as the one before.
void PercentileCurves(std::ostream& out, const std::vector<Curve>& curves) {
  double low = INFINITY, high = 1, most = 1;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const Distribution& d = *curves[i].times;
    low = std::min(low, std::max(10.0, d.Quantile(0.01)));
    high = std::max(high, d.max_ns);
    most = std::max(most, static_cast<double>(d.Count()));
    out << "$curve" << i << " << EOD\n";
    ForEachPercentile(d, [&](const stress::PercentileRow& row) {
      // The maximum stands where one in `count` would be above it.
      const double inverse =
          row.percentile < 1 ? 1 / (1 - row.percentile) : static_cast<double>(d.Count());
      out << inverse << ' ' << std::max(row.value_ns, 1.0) << '\n';
    });
    out << "EOD\n";
  }
  TimeAxis(out, "y", low, high);
  out << "set ylabel 'latency'\nset xlabel 'percentile'\nset logscale x 10\nunset mxtics\n"
         "set xtics ('0 %%' 1, '50 %%' 2, '90 %%' 10, '99 %%' 100, '99.9 %%' 1e3, '99.99 %%' 1e4, "
         "'99.999 %%' 1e5, '99.9999 %%' 1e6, '99.99999 %%' 1e7)\n"
      << "set xrange [1:" << std::max(100.0, most) << "]\nset yrange [" << std::max(low * 0.8, 1.0)
      << ':' << high * 1.3 << "]\n"
      << "set key outside right top vertical Left reverse samplen 2 width -1\nplot ";
  for (std::size_t i = 0; i < curves.size(); ++i) {
    out << (i == 0 ? "" : ", \\\n     ") << "$curve" << i << " with lines " << curves[i].line
        << " title " << GnuplotQuote(curves[i].title);
  }
  out << '\n';
}

std::string SetUp(const Options& options) {
  return stress::HogsText(options.hogs) + " on " + std::to_string(options.Procs()) +
         (options.Procs() == 1 ? " proc" : " procs") + ", slice " +
         stress::ToString(options.Slice()) + ", mechanism " + ToString(options.mechanism) +
         ", pace " + ToString(options.pace) + ", " + stress::ToString(options.duration);
}

std::vector<const StageResult*> Measured(const RunResult& result) {
  std::vector<const StageResult*> stages;
  for (const StageResult& stage : result.stages) {
    if (!stage.times.empty()) stages.push_back(&stage);
  }
  return stages;
}

void DrawPercentiles(const Options& options, const RunResult& result) {
  std::vector<Curve> curves;
  std::size_t coloured = 0;
  for (const StageResult* stage : Measured(result)) {
    // The others are the same times in other words.
    if (!stage->in_chain && stage->name != kTotal && stage->name != kDeferred &&
        stage->name != kResponse) {
      continue;
    }
    const bool total = stage->name == kTotal;
    curves.push_back({stage->name, &stage->times,
                      total ? "linewidth 4 linecolor rgb 'black'" : LineOf(coloured++)});
  }
  if (curves.empty()) return;
  Picture picture(options.plot_directory, "percentiles");
  Title(picture.script(), "Preemption latency by percentile", SetUp(options));
  PercentileCurves(picture.script(), curves);
  picture.Draw();
}

void DrawStages(const Options& options, const RunResult& result) {
  std::vector<const StageResult*> stages = Measured(result);
  std::erase_if(stages, [](const StageResult* s) { return s->name == kSliceLength; });
  if (stages.empty()) return;
  const StageResult* total = result.Find(kTotal);
  const auto sum = [](const StageResult& s) {
    return s.times.mean_ns * static_cast<double>(s.times.Count());
  };
  Picture picture(options.plot_directory, "stages");
  std::ostream& out = picture.script();
  double low = INFINITY, high = 1;
  out << "$stages << EOD\n";
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Distribution& d = stages[i]->times;
    low = std::min(low, d.Quantile(0.5));
    high = std::max(high, d.max_ns);
    const std::string label = FormatTime(d.Quantile(0.5)) + " / " + FormatTime(d.Quantile(0.99));
    std::string share;
    if (stages[i]->in_chain && total != nullptr && !total->times.empty()) {
      share = stress::FormatPercent(sum(*stages[i]) / sum(*total));
    }
    out << i << ' ' << std::max(d.Quantile(0.5), 1.0) << ' ' << std::max(d.Quantile(0.9), 1.0)
        << ' ' << std::max(d.Quantile(0.99), 1.0) << ' ' << std::max(d.Quantile(0.999), 1.0) << ' '
        << std::max(d.max_ns, 1.0) << ' ' << GnuplotQuote(label) << ' '
        << GnuplotQuote(stages[i]->name) << ' ' << GnuplotQuote(share) << '\n';
  }
  out << "EOD\n";
  low = std::max(low * 0.6, 1.0);
  const double right = high * 1.5;
  Title(out, "Where the time goes: p50 to max of each stage", SetUp(options));
  TimeAxis(out, "x", low, right);
  out << "set xlabel 'latency'\nset xrange [" << low << ':' << right << "]\nset yrange ["
      << static_cast<double>(stages.size()) - 0.4 << ":-0.6]\nset ytics scale 0\nset border 1\n"
      << "set rmargin 32\nset bmargin 6\nset key below center horizontal samplen 2\n"
      << "set label 1 'p50 / p99' at graph 1, graph 1.02 left offset 1,0\n"
      << "set label 2 'share' at graph 1, graph 1.02 right offset 29,0\n"
      << "half = 0.32\n"
      << "plot $stages using 2:1:2:3:($1-half):($1+half):ytic(8) with boxxyerror fillstyle solid "
         "1.0 noborder linecolor rgb '#0072b2' title 'p50 to p90', \\\n"
         "     '' using 3:1:3:4:($1-half):($1+half) with boxxyerror fillstyle solid 1.0 noborder "
         "linecolor rgb '#56b4e9' title 'to p99', \\\n"
         "     '' using 4:1:4:5:($1-half*0.5):($1+half*0.5) with boxxyerror fillstyle solid 1.0 "
         "noborder linecolor rgb '#e69f00' title 'to p99.9', \\\n"
         "     '' using 5:1:5:6:($1-0.03):($1+0.03) with boxxyerror fillstyle solid 1.0 noborder "
         "linecolor rgb '#d55e00' title 'to max', \\\n"
         "     '' using 2:1 with points pointtype 7 pointsize 0.7 linecolor rgb '#00334d' title "
         "'p50', \\\n"
         "     '' using ("
      << right << "):1:7 with labels left offset 1,0 notitle, \\\n     '' using (" << right
      << "):1:9 with labels right offset 29,0 notitle\n";
  picture.Draw();
}

void DrawOverTime(const Options& options, const RunResult& result) {
  double low = INFINITY, high = 1;
  Picture picture(options.plot_directory, "over_time");
  std::ostream& out = picture.script();
  out << "$windows << EOD\n";
  for (const Window& w : result.windows) {
    if (w.count == 0) continue;
    low = std::min(low, w.p50_ns);
    high = std::max(high, w.max_ns);
    out << w.end_ns / 1e9 << ' ' << std::max(w.p50_ns, 1.0) << ' ' << std::max(w.p99_ns, 1.0) << ' '
        << std::max(w.max_ns, 1.0) << '\n';
  }
  out << "EOD\n";
  if (!std::isfinite(low)) return;
  Title(out, options.stage + " over time, in " + std::to_string(result.windows.size()) + " windows",
        SetUp(options));
  TimeAxis(out, "y", low, high);
  out << "set ylabel 'latency'\nset xlabel 'time (s)'\nset xrange [0:" << result.duration_ns / 1e9
      << "]\nset yrange [" << std::max(low * 0.7, 1.0) << ':' << high * 1.5
      << "]\nset key outside right top vertical Left reverse\nplot";
  const char* separator = " ";
  const auto curve = [&](int column, const char* title, const char* colour, const char* style) {
    out << separator << "$windows using 1:" << column << " with " << style << " linecolor rgb '"
        << colour << "' title '" << title << '\'';
    separator = ", \\\n     ";
  };
  curve(4, "max", "#d55e00", "points pointtype 7 pointsize 1");
  curve(3, "p99", "#e69f00", "lines linewidth 2");
  curve(2, "p50", "#0072b2", "lines linewidth 2");
  out << '\n';
  picture.Draw();
}

void DrawSlices(const Options& options, const RunResult& result) {
  const StageResult* slices = result.Find(kSliceLength);
  if (slices == nullptr || slices->times.empty()) return;
  constexpr int kMostBins = 120, kFinest = 80;
  const Distribution& d = slices->times;
  const stress::LogBins bins(d, kMostBins, kFinest, stress::LogBins::kSpread);
  const auto total = static_cast<double>(d.Count());
  Picture picture(options.plot_directory, "slices");
  std::ostream& out = picture.script();
  out << "$bins << EOD\n";
  double tallest = 0;
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const double percent = 100 * bins.CountOf(i) / total;
    tallest = std::max(tallest, percent);
    out << bins.Edge(i) << ' ' << bins.Edge(i + 1) << ' ' << percent << '\n';
  }
  out << "EOD\n";
  const double slice = static_cast<double>(options.Slice().count());
  const double left = std::min(bins.Edge(0), slice) / 1.2;
  const double right = std::max(bins.Edge(bins.size()), slice) * 1.2;
  Title(out,
        "How long goroutines had run when they were preempted (" + stress::FormatCount(d.Count()) +
            " slices)",
        SetUp(options));
  TimeAxis(out, "x", left, right);
  out << "set xlabel 'slice length'\nset ylabel 'share of slices (%)'\nset xrange [" << left << ':'
      << right << "]\nset yrange [0:" << tallest * 1.15 << "]\nset arrow 1 from " << slice
      << ", graph 0 to " << slice
      << ", graph 1 nohead linewidth 2 dashtype 2 linecolor rgb '#d55e00' front\n"
      << "set label 1 'slice asked for' at " << slice << ", graph 0.97 "
      << (slice < std::sqrt(left * right) ? "left offset 0.7,0" : "right offset -0.7,0")
      << " textcolor rgb '#d55e00' front\nunset key\n"
      << "plot $bins using 1:3:1:2:(0):3 with boxxyerror fillstyle solid 1.0 noborder linecolor "
         "rgb "
         "'#0072b2'\n";
  picture.Draw();
}

}  // namespace

void DrawRun(const Options& options, const RunResult& result) {
  DrawPercentiles(options, result);
  DrawStages(options, result);
  DrawOverTime(options, result);
  DrawSlices(options, result);
}

void DrawSweep(const Options& options, const std::vector<SweepPoint>& points) {
  // Less than a hundredth of a percent is noise, and zero has no place on the axis.
  double least = 100;
  for (const SweepPoint& p : points) least = std::min(least, p.overhead.value * 100 / 3);
  least = std::max(least, 0.01);
  Picture picture(options.plot_directory, "overhead");
  std::ostream& out = picture.script();
  struct Line {
    std::string hog;
    int procs;
  };
  std::vector<Line> lines;
  for (const SweepPoint& p : points) {
    if (!lines.empty() && lines.back().hog == p.hog.kind && lines.back().procs == p.procs) continue;
    lines.push_back({p.hog.kind, p.procs});
  }
  double shortest = INFINITY, longest = 0, most = 1;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    out << "$line" << i << " << EOD\n";
    for (const SweepPoint& p : points) {
      if (p.hog.kind != lines[i].hog || p.procs != lines[i].procs) continue;
      const auto slice = static_cast<double>(p.slice.count());
      shortest = std::min(shortest, slice);
      longest = std::max(longest, slice);
      const auto percent = [=](double overhead) { return std::max(overhead * 100, least); };
      most = std::max(most, percent(p.overhead.high));
      out << slice << ' ' << percent(p.overhead.value) << ' ' << percent(p.overhead.low) << ' '
          << percent(p.overhead.high) << '\n';
    }
    out << "EOD\n";
  }
  std::ostringstream confidence;
  confidence << options.confidence * 100;
  Title(out, "What preemption costs",
        "mechanism " + ToString(options.mechanism) + ", " + stress::ToString(options.duration) +
            " for each point; bars: " + confidence.str() + " % intervals");
  TimeAxis(out, "x", shortest, longest);
  out << "set xlabel 'slice'\nset ylabel 'work lost (%)'\nset logscale y 10\nset mytics 10\n"
      << "set xrange [" << shortest / 1.3 << ':' << longest * 1.3 << "]\nset yrange [" << least
      << ':' << most * 2 << "]\nset key inside right top vertical Left reverse\nplot ";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string title = lines[i].hog + ", " + std::to_string(lines[i].procs) +
                              (lines[i].procs == 1 ? " proc" : " procs");
    out << (i == 0 ? "" : ", \\\n     ") << "$line" << i
        << " using 1:2:3:4 with yerrorlines pointtype 7 pointsize 0.7 " << LineOf(i) << " title "
        << GnuplotQuote(title);
  }
  out << '\n';
  picture.Draw();
}

void DrawComparison(const Options& options, const SavedRun& a, const SavedRun& b) {
  std::vector<Curve> curves;
  for (const SavedRun* run : {&a, &b}) {
    const auto stage = std::ranges::find(run->stages, options.stage, &StageResult::name);
    if (stage == run->stages.end() || stage->times.empty()) continue;
    const std::string name = run == &a ? "A: " : "B: ";
    curves.push_back({name + run->path, &stage->times, LineOf(curves.size())});
  }
  if (curves.empty()) return;
  Picture picture(options.plot_directory, "comparison");
  Title(picture.script(), options.stage + " by percentile", "A: " + a.summary);
  PercentileCurves(picture.script(), curves);
  picture.Draw();
}

}  // namespace latency

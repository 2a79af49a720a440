// Two runs, stage by stage: medians, 99th percentiles, their ratio with its interval, and a
// verdict.

#include "stress/latency/compare.h"

#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <iostream>

#include "stress/common/args.h"
#include "stress/common/bootstrap.h"
#include "stress/common/output_file.h"
#include "stress/common/text.h"
#include "stress/latency/files.h"
#include "stress/latency/plot.h"

namespace latency {
namespace {

using stress::Distribution;
using stress::FormatTime;

struct Row {
  std::string stage;
  const char* figure;
  std::uint64_t a_count, b_count;
  double a_ns = 0, b_ns = 0;
  stress::Estimate ratio;  // b to a
  std::string verdict;
};

constexpr char kTooFew[] = "too few values", kNoDifference[] = "no difference";

std::string Judge(const std::string& stage, const stress::Estimate& ratio) {
  // Buckets are 3 % wide at most; nothing below that has been seen.
  constexpr double kResolution = 1.0 / 32;
  if (ratio.low <= 1 && ratio.high >= 1) return kNoDifference;
  if (ratio.value > 1 - kResolution && ratio.value < 1 + kResolution) return kNoDifference;
  const bool length = stage == kSliceLength;
  return ratio.value < 1 ? (length ? "shorter" : "faster") : (length ? "longer" : "slower");
}

Row CompareStages(const StageResult& a, const StageResult& b, double q, const char* figure,
                  const stress::Bootstrap& how) {
  Row row{a.name, figure, a.times.Count(), b.times.Count(), 0, 0, {}, kTooFew};
  if (!a.times.empty()) row.a_ns = a.times.Interpolate(q);
  if (!b.times.empty()) row.b_ns = b.times.Interpolate(q);
  if (!QuantileIsKnown(a.times, q) || !QuantileIsKnown(b.times, q)) return row;
  row.ratio = BootstrapRatio(a.times, b.times, q, how);
  row.verdict = Judge(row.stage, row.ratio);
  return row;
}

std::vector<Row> CompareRuns(const SavedRun& a, const SavedRun& b, const stress::Bootstrap& how) {
  std::vector<Row> rows;
  for (const StageResult& of_a : a.stages) {
    const auto of_b = std::ranges::find(b.stages, of_a.name, &StageResult::name);
    if (of_b == b.stages.end()) continue;
    if (of_a.times.empty() && of_b->times.empty()) continue;
    rows.push_back(CompareStages(of_a, *of_b, 0.5, "p50", how));
    rows.push_back(CompareStages(of_a, *of_b, 0.99, "p99", how));
  }
  return rows;
}

std::string Number(const char* format, double number) {
  char text[32];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

void Print(std::ostream& out, const SavedRun& a, const SavedRun& b, const std::vector<Row>& rows,
           double confidence) {
  out << "A: " << a.path << ": " << a.summary << "\nB: " << b.path << ": " << b.summary << "\n\n";
  stress::Table table("llrrrrrrl");
  table.Row({"stage", "", "values of A", "of B", "A", "B", "B / A",
             Number("%g", confidence * 100) + " % interval", ""});
  std::string last;
  for (const Row& row : rows) {
    const bool known = row.verdict != kTooFew;
    const bool first = row.stage != last;
    last = row.stage;
    table.Row(
        {first ? row.stage : "", row.figure, first ? stress::FormatCount(row.a_count) : "",
         first ? stress::FormatCount(row.b_count) : "",
         row.a_count == 0 ? "-" : FormatTime(row.a_ns),
         row.b_count == 0 ? "-" : FormatTime(row.b_ns),
         known ? Number("%.2f", row.ratio.value) : "-",
         known ? Number("%.2f", row.ratio.low) + " to " + Number("%.2f", row.ratio.high) : "-",
         row.verdict});
  }
  table.Print(out);
}

void WriteJson(std::ostream& out, const Options& options, const std::vector<Row>& rows) {
  stress::JsonWriter json(out);
  json.BeginObject();
  json.Member("program", "urge latency --compare");
  json.Member("a", options.inputs[0]);
  json.Member("b", options.inputs[1]);
  json.Member("confidence", options.confidence);
  json.Member("seed", options.seed);
  json.Key("rows").BeginArray();
  for (const Row& row : rows) {
    json.BeginObject();
    json.Member("stage", row.stage);
    json.Member("figure", row.figure);
    json.Member("a_count", row.a_count);
    json.Member("b_count", row.b_count);
    json.Member("a_ns", row.a_ns);
    json.Member("b_ns", row.b_ns);
    if (row.verdict != kTooFew) {
      json.Member("ratio", row.ratio.value);
      json.Member("ratio_low", row.ratio.low);
      json.Member("ratio_high", row.ratio.high);
    }
    json.Member("verdict", row.verdict);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
}

void WriteCsv(std::ostream& out, const std::vector<Row>& rows) {
  out << "stage,figure,a_count,b_count,a_ns,b_ns,ratio,ratio_low,ratio_high,verdict\n";
  for (const Row& row : rows) {
    out << row.stage << ',' << row.figure << ',' << row.a_count << ',' << row.b_count << ','
        << std::fixed << std::setprecision(0) << row.a_ns << ',' << row.b_ns << ','
        << std::setprecision(4);
    if (row.verdict == kTooFew) {
      out << ",,";
    } else {
      out << row.ratio.value << ',' << row.ratio.low << ',' << row.ratio.high;
    }
    out << ',' << row.verdict << '\n';
  }
}

}  // namespace

int Compare(const Options& options) {
  const SavedRun a = ReadRun(options.inputs[0]), b = ReadRun(options.inputs[1]);
  stress::OutputFile json("latency: --json", options.json_file);
  stress::OutputFile csv("latency: --csv", options.csv_file);
  const stress::Bootstrap how{.confidence = options.confidence, .seed = options.seed};
  const std::vector<Row> rows = CompareRuns(a, b, how);
  Print(std::cout, a, b, rows, options.confidence);
  const bool known = std::ranges::any_of(rows, [](const Row& r) { return r.verdict != kTooFew; });
  if (!known) std::cout << "NOT GOOD: no stage has enough values in both runs.\n";
  bool written = json.Write([&](std::ostream& out) { WriteJson(out, options, rows); });
  written = csv.Write([&](std::ostream& out) { WriteCsv(out, rows); }) && written;
  if (!options.plot_directory.empty()) DrawComparison(options, a, b);
  return known && written ? stress::kExitGood : stress::kExitBad;
}

}  // namespace latency

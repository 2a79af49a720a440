// The sweep.
//
//  1. Each point (kind of hog, processors, slice) is measured in a process of its own.
//  2. There, rounds follow one another. A round is two parts: in one there are as many hogs as
//     processors, so that nobody waits and nobody is preempted; in the other all of them share. The
//     parts follow close upon each other, and their order alternates, so that what else the machine
//     does, and at what clock rate, falls on both alike.
//  3. A round's overhead is what its hogs did less while they shared, for each second of processor
//     time that the process used: what the machine's other programs took is nobody's loss. The
//     point's is the median of all rounds, with an interval by bootstrap.
//
// So the reference is the same process with the same settings; a second process with preemption
// turned off would differ from the first in the layout of its memory, by more than what is sought.

#include "stress/latency/sweep.h"

#include <urge/urge.h>

#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <iostream>
#include <thread>

#include "stress/common/archive.h"
#include "stress/common/args.h"
#include "stress/common/child.h"
#include "stress/common/clock.h"
#include "stress/common/hog_team.h"
#include "stress/common/input.h"
#include "stress/common/json.h"
#include "stress/common/output_file.h"
#include "stress/common/progress.h"
#include "stress/common/text.h"
#include "stress/common/work_time.h"
#include "stress/latency/files.h"
#include "stress/latency/plot.h"
#include "stress/latency/run.h"

namespace latency {
namespace {

using stress::FormatTime;
using stress::NsOfTicks;
using stress::ReadTicks;
using Duration = std::chrono::nanoseconds;

constexpr int kRounds = 8;  // and one more, the first, that doesn't count

void VisitPoint(auto& archive, PointResult& r) {
  archive.List(r.rounds, [&](Round& round) {
    for (Throughput* t : {&round.alone, &round.shared}) {
      archive.Values(t->work, t->cpu_ns, t->wall_ns);
    }
  });
  archive.Values(r.preemptions, r.verified, r.failure);
  VisitDistribution(archive, r.slice_length);
  VisitDistribution(archive, r.total);
}

class Point {
 public:
  explicit Point(const Options& options)
      : procs_(options.Procs()),
        part_(options.duration / (2 * (kRounds + 1))),
        input_(stress::ReadInput(options.file)),
        hogs_(options.hogs, input_.bytes, options.Procs(), options.Slice()) {}

  PointResult Measure() {
    urge::metrics before;
    for (int i = 0; i <= kRounds && result_.failure.empty(); ++i) {
      if (i == 1) before = urge::read_metrics();
      Round round;
      if (i % 2 == 0) round.alone = Part(static_cast<std::size_t>(procs_));
      round.shared = Part(SIZE_MAX);
      if (i % 2 != 0) round.alone = Part(static_cast<std::size_t>(procs_));
      if (i != 0) result_.rounds.push_back(round);
    }
    // Nobody is preempted who doesn't share.
    Note(urge::read_metrics() - before);
    return std::move(result_);
  }

 private:
  // The first `most` hogs work for one part.
  Throughput Part(std::size_t most) {
    std::atomic<bool> stop{false};
    urge::wait_group all;
    const std::uint64_t begin = ReadTicks();
    const stress::WorkTime time(part_, procs_);
    hogs_.Spawn(all, stop, most);
    std::this_thread::sleep_for(part_);
    while (!time.Over()) std::this_thread::sleep_for(part_ / 4);
    Throughput did;
    did.work = static_cast<double>(hogs_.WorkDone());
    did.cpu_ns = time.CpuNs();
    const std::uint64_t end = ReadTicks();
    did.wall_ns = NsOfTicks(end - begin);
    stop.store(true, std::memory_order_relaxed);
    all.wait();
    for (const stress::HogResult& hog : hogs_.Finish(end)) {
      result_.verified += hog.verified;
      if (!hog.failure.empty()) result_.failure = hog.name + ": " + hog.failure;
    }
    return did;
  }
  void Note(const urge::metrics& m) {
    result_.preemptions = m.acks_prologue + m.acks_signal;
    for (const Stage& stage : Stages()) {
      const stress::Distribution d = stress::DistributionOf(m.*stage.field);
      if (stage.name == kSliceLength) result_.slice_length = d;
      if (stage.name == kTotal) result_.total = d;
    }
  }

  const int procs_;
  const Duration part_;
  const stress::Input input_;
  stress::HogTeam hogs_;
  PointResult result_;
};

void Judge(SweepPoint& point, const Options& options) {
  std::vector<double> overheads;
  for (const Round& round : point.result.rounds) {
    overheads.push_back(1 - round.shared.PerCpuNs() / round.alone.PerCpuNs());
  }
  point.overhead =
      stress::BootstrapMedian(overheads, {.confidence = options.confidence, .seed = options.seed});
}

// Empty if the point is one to believe.
std::string WhatIsWrong(const PointResult& r) {
  if (!r.failure.empty()) return r.failure;
  if (r.preemptions == 0) return "nothing was measured: no goroutine was preempted";
  return "";
}

std::string Percent(double fraction) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", fraction * 100);
  return text;
}

std::string NameOf(const SweepPoint& point) {
  return point.hog.kind + ", " + std::to_string(point.procs) +
         (point.procs == 1 ? " proc" : " procs") + ", slice " + stress::ToString(point.slice);
}

void Print(std::ostream& out, const Options& options, const std::vector<SweepPoint>& points) {
  constexpr int kBarCells = 10;
  constexpr double kFullBar = 0.2;  // overhead
  char level[32];
  std::snprintf(level, sizeof level, "%g %% interval", options.confidence * 100);
  stress::Table table("lrrrrlrrrr");
  table.Row({"hogs", "procs", "slice", "preemptions/s", "overhead", "", level, "of each",
             "slice p50", "due to next p50"});
  for (const SweepPoint& p : points) {
    const auto median = [](const stress::Distribution& d) {
      return d.empty() ? std::string("-") : FormatTime(d.Quantile(0.5));
    };
    table.Row({p.hog.kind + ":" + std::to_string(p.hog.count), std::to_string(p.procs),
               stress::ToString(p.slice),
               stress::FormatCount(static_cast<std::uint64_t>(p.PreemptionsPerSecond())),
               Percent(p.overhead.value), stress::FormatBar(p.overhead.value / kFullBar, kBarCells),
               Percent(p.overhead.low) + " to " + Percent(p.overhead.high),
               p.overhead.value <= 0 ? "-" : FormatTime(p.CostNs()), median(p.result.slice_length),
               median(p.result.total)});
  }
  out << '\n';
  table.Print(out);
  out << "\nOverhead: how much less work hogs did for each second of processor time while they "
         "shared processors,\nin slices, than while nobody waited; \"of each\" is what that makes "
         "for each preemption.\n";
}

void WriteThroughput(stress::JsonWriter& json, std::string_view key, const Throughput& t) {
  json.Key(key).BeginObject();
  json.Member("work", t.work);
  json.Member("cpu_ns", t.cpu_ns);
  json.Member("wall_ns", t.wall_ns);
  json.EndObject();
}

void WriteJson(std::ostream& out, const Options& options, const std::vector<SweepPoint>& points,
               bool good) {
  stress::JsonWriter json(out);
  json.BeginObject();
  json.Member("program", "urge latency --sweep");
  WriteParameters(json, options);
  json.Member("confidence", options.confidence);
  json.Key("points").BeginArray();
  for (const SweepPoint& p : points) {
    json.BeginObject();
    json.Member("hog", p.hog.kind);
    json.Member("hogs", p.hog.count);
    json.Member("procs", p.procs);
    json.Member("slice_ns", p.slice.count());
    json.Member("preemptions", p.result.preemptions);
    json.Member("preemptions_per_s", p.PreemptionsPerSecond());
    json.Key("overhead").BeginObject();
    json.Member("value", p.overhead.value);
    json.Member("low", p.overhead.low);
    json.Member("high", p.overhead.high);
    json.EndObject();
    json.Member("cost_ns", p.CostNs());
    json.Key("rounds").BeginArray();
    for (const Round& round : p.result.rounds) {
      json.BeginObject();
      WriteThroughput(json, "alone", round.alone);
      WriteThroughput(json, "shared", round.shared);
      json.EndObject();
    }
    json.EndArray();
    json.Member("slice_p50_ns", p.result.slice_length.Quantile(0.5));
    json.Member("slice_p99_ns", p.result.slice_length.Quantile(0.99));
    json.Member("total_p50_ns", p.result.total.Quantile(0.5));
    json.Member("total_p99_ns", p.result.total.Quantile(0.99));
    json.Member("verified", p.result.verified);
    json.Member("failure", WhatIsWrong(p.result));
    json.EndObject();
  }
  json.EndArray();
  json.Member("exit_status", good ? stress::kExitGood : stress::kExitBad);
  json.EndObject();
}

void WriteCsv(std::ostream& out, const std::vector<SweepPoint>& points) {
  out << "hog,hogs,procs,slice_ns,preemptions_per_s,overhead,overhead_low,overhead_high,cost_ns,"
         "slice_p50_ns,total_p50_ns,total_p99_ns\n"
      << std::setprecision(6);
  for (const SweepPoint& p : points) {
    out << p.hog.kind << ',' << p.hog.count << ',' << p.procs << ',' << p.slice.count() << ','
        << p.PreemptionsPerSecond() << ',' << p.overhead.value << ',' << p.overhead.low << ','
        << p.overhead.high << ',' << p.CostNs() << ',' << p.result.slice_length.Quantile(0.5) << ','
        << p.result.total.Quantile(0.5) << ',' << p.result.total.Quantile(0.99) << '\n';
  }
}

// Every kind, on every number of processors, under every slice.
std::vector<SweepPoint> PointsOf(const Options& options) {
  std::vector<SweepPoint> points;
  for (const stress::HogCount& hog : options.hogs) {
    for (const int procs : options.procs) {
      for (const Duration slice : options.slices) points.push_back({hog, procs, slice, {}, {}});
    }
  }
  return points;
}

void MeasureInChild(const Options& options, SweepPoint& point) {
  constexpr auto kGrace = std::chrono::seconds(60);
  Options only = options;
  only.hogs = {point.hog};
  only.procs = {point.procs};
  only.slices = {point.slice};
  const stress::ChildResult child =
      stress::RunSelf(ChildArguments(only), options.duration + kGrace);
  stress::ArchiveReader reader(child.output);
  VisitPoint(reader, point.result);
  if (!child.failure.empty()) {
    point.result.failure = "the process " + child.failure;
  } else if (!reader.good()) {
    point.result.failure = "the process gave no result";
  }
}

}  // namespace

double SweepPoint::PreemptionsPerSecond() const {
  double wall_ns = 0;
  for (const Round& round : result.rounds) wall_ns += round.shared.wall_ns;
  return wall_ns == 0 ? 0 : static_cast<double>(result.preemptions) / wall_ns * 1e9;
}

double SweepPoint::CostNs() const {
  double cpu_ns = 0;
  for (const Round& round : result.rounds) cpu_ns += round.shared.cpu_ns;
  return result.preemptions == 0
             ? 0
             : overhead.value * cpu_ns / static_cast<double>(result.preemptions);
}

std::string MeasurePoint(const Options& options) {
  Point point(options);
  StartRuntime(options);
  PointResult result = point.Measure();
  stress::ArchiveWriter writer;
  VisitPoint(writer, result);
  return writer.Text();
}

int Sweep(const Options& options) {
  stress::OutputFile json("latency: --json", options.json_file);
  stress::OutputFile csv("latency: --csv", options.csv_file);
  std::vector<SweepPoint> points = PointsOf(options);
  std::cout << "urge latency: sweep of " << points.size() << " points of "
            << stress::ToString(options.duration) << ", mechanism " << ToString(options.mechanism)
            << std::endl;
  std::vector<SweepPoint> good;
  {
    stress::Progress progress("sweep", options.duration * points.size());
    const std::uint64_t begin = ReadTicks();
    for (std::size_t i = 0; i < points.size(); ++i) {
      const Duration elapsed(static_cast<std::int64_t>(NsOfTicks(ReadTicks() - begin)));
      if (i == 0 || progress.Due(elapsed)) {
        progress.Show(elapsed, "point " + std::to_string(i + 1) + " of " +
                                   std::to_string(points.size()) + ": " + NameOf(points[i]));
      }
      MeasureInChild(options, points[i]);
      if (!WhatIsWrong(points[i].result).empty()) continue;
      Judge(points[i], options);
      good.push_back(points[i]);
    }
  }
  if (!good.empty()) Print(std::cout, options, good);
  for (const SweepPoint& point : points) {
    const std::string wrong = WhatIsWrong(point.result);
    if (!wrong.empty()) std::cout << "NOT GOOD: " << NameOf(point) << ": " << wrong << ".\n";
  }
  const bool all_good = good.size() == points.size();
  bool written = json.Write([&](std::ostream& out) { WriteJson(out, options, points, all_good); });
  written = csv.Write([&](std::ostream& out) { WriteCsv(out, good); }) && written;
  if (!options.plot_directory.empty() && !good.empty()) DrawSweep(options, good);
  return all_good && written ? stress::kExitGood : stress::kExitBad;
}

}  // namespace latency

// Writing and reading the files of a run; --help describes them.

#include "stress/latency/files.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <stdexcept>

#include "stress/common/args.h"
#include "stress/common/hdr.h"
#include "stress/common/json_reader.h"

namespace latency {
namespace {

using stress::BadArgument;
using stress::Distribution;
using stress::Json;
using stress::JsonWriter;

constexpr struct {
  const char* name;
  double q;
} kQuantiles[] = {{"p50_ns", 0.5}, {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"p99.9_ns", 0.999}};

void WriteStage(JsonWriter& json, const StageResult& stage) {
  const Distribution& d = stage.times;
  json.Key(stage.name).BeginObject();
  json.Member("text", stage.text);
  json.Member("count", d.Count());
  json.Member("mean_ns", d.mean_ns);
  for (const auto& quantile : kQuantiles) json.Member(quantile.name, d.Quantile(quantile.q));
  json.Member("max_ns", d.max_ns);
  json.Key("buckets").BeginArray();
  for (const Distribution::Bucket& b : d.buckets) json.Numbers({b.lower_ns, b.upper_ns, b.count});
  json.EndArray();
  json.EndObject();
}

void WriteCounts(JsonWriter& json, std::string_view key, const std::vector<stress::Count>& counts) {
  json.Key(key).BeginObject();
  for (const stress::Count& count : counts) json.Member(count.name, count.value);
  json.EndObject();
}

void WriteHogs(JsonWriter& json, const RunResult& result) {
  json.Key("hogs").BeginArray();
  for (const stress::HogResult& hog : result.hogs) {
    json.BeginObject();
    json.Member("name", hog.name);
    json.Member("detail", hog.detail);
    json.Member("cpu_ns", hog.cpu_ns);
    json.Member("verified", hog.verified);
    json.Member("failure", hog.failure);
    json.EndObject();
  }
  json.EndArray();
}

void WriteWindows(JsonWriter& json, const Options& options, const RunResult& result) {
  json.Key("over_time").BeginObject();
  json.Member("stage", options.stage);
  json.Key("windows").BeginArray();
  for (const Window& w : result.windows) {
    json.BeginObject();
    json.Member("end_ns", w.end_ns);
    json.Member("count", w.count);
    json.Member("p50_ns", w.p50_ns);
    json.Member("p99_ns", w.p99_ns);
    json.Member("max_ns", w.max_ns);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
}

std::uint64_t NaturalNumber(const Json& json) {
  constexpr double kMost = 9e15;  // beyond, doubles have gaps
  const double number = json.number();
  if (!(number >= 0 && number <= kMost) || number != std::floor(number)) {
    throw std::runtime_error("a number that is no count");
  }
  return static_cast<std::uint64_t>(number);
}

Distribution ReadTimes(const Json& stage) {
  Distribution d;
  d.mean_ns = stage["mean_ns"].number();
  d.max_ns = stage["max_ns"].number();
  for (const Json& bucket : stage["buckets"].array()) {
    d.buckets.push_back(
        {NaturalNumber(bucket[0]), NaturalNumber(bucket[1]), NaturalNumber(bucket[2])});
    const Distribution::Bucket& b = d.buckets.back();
    const bool rises =
        d.buckets.size() == 1 || b.lower_ns >= d.buckets[d.buckets.size() - 2].upper_ns;
    if (b.count == 0 || b.lower_ns >= b.upper_ns || !rises) {
      throw std::runtime_error("buckets out of order");
    }
  }
  if (d.Count() != NaturalNumber(stage["count"])) {
    throw std::runtime_error("buckets that don't add up to the count");
  }
  return d;
}

std::string SummaryOf(const Json& parameters) {
  const auto time = [&](const char* key) {
    return stress::ToString(std::chrono::nanoseconds(NaturalNumber(parameters[key])));
  };
  std::string hogs;
  for (const auto& [kind, count] : parameters["hogs"].object()) {
    hogs += (hogs.empty() ? "" : ",") + kind + ":" + std::to_string(NaturalNumber(count));
  }
  return hogs + ", " + std::to_string(NaturalNumber(parameters["procs"][0])) + " procs, slice " +
         stress::ToString(std::chrono::nanoseconds(NaturalNumber(parameters["slices_ns"][0]))) +
         ", mechanism " + parameters["mechanism"].string() + ", pace " +
         parameters["pace"].string() + ", " + time("duration_ns");
}

// In the order of the report, which an object of JSON doesn't keep.
void SortAsReported(std::vector<StageResult>& stages) {
  std::ranges::stable_sort(stages, {}, [](const StageResult& result) {
    return std::ranges::find(Stages(), std::string_view(result.name), &Stage::name);
  });
}

}  // namespace

void WriteParameters(JsonWriter& json, const Options& options) {
  const bool run = options.mode == Mode::kRun;
  json.Key("parameters").BeginObject();
  json.Member("duration_ns", options.duration.count());
  json.Key("procs").BeginArray();
  for (const int procs : options.procs) json.Value(procs);
  json.EndArray();
  json.Key("slices_ns").BeginArray();
  for (const auto slice : options.slices) json.Value(slice.count());
  json.EndArray();
  json.Key("hogs").BeginObject();
  for (const stress::HogCount& hog : options.hogs) json.Member(hog.kind, hog.count);
  json.EndObject();
  json.Member("mechanism", ToString(options.mechanism));
  if (run) json.Member("pace", ToString(options.pace));
  if (run) json.Member("warmup_ns", options.warmup.count());
  json.Member("seed", options.seed);
  json.Member("file", options.file);
  json.EndObject();
}

void WriteJson(std::ostream& out, const Options& options, const RunResult& result) {
  JsonWriter json(out);
  json.BeginObject();
  json.Member("program", "urge latency");
  WriteParameters(json, options);
  json.Member("failure", result.failure);
  json.Member("duration_ns", result.duration_ns);
  json.Key("stages").BeginObject();
  for (const StageResult& stage : result.stages) WriteStage(json, stage);
  json.EndObject();
  WriteCounts(json, "requests", result.requests);
  WriteCounts(json, "asked", result.asked);
  WriteCounts(json, "preemptions", result.preemptions);
  WriteCounts(json, "deferrals", result.deferrals);
  json.Member("missed", result.missed);
  WriteHogs(json, result);
  WriteWindows(json, options, result);
  json.Member("exit_status", result.WhatIsWrong().empty() ? stress::kExitGood : stress::kExitBad);
  json.EndObject();
}

void WriteCsv(std::ostream& out, const RunResult& result) {
  out << "stage,count,mean_ns";
  for (const auto& quantile : kQuantiles) out << ',' << quantile.name;
  out << ",max_ns\n" << std::fixed << std::setprecision(0);
  for (const StageResult& stage : result.stages) {
    const Distribution& d = stage.times;
    out << stage.name << ',' << d.Count() << ',' << d.mean_ns;
    for (const auto& quantile : kQuantiles) out << ',' << d.Quantile(quantile.q);
    out << ',' << d.max_ns << '\n';
  }
}

void WriteHdr(std::ostream& out, const Options& options, const RunResult& result) {
  const StageResult* stage = result.Find(options.stage);
  stress::WriteHdr(out, stage == nullptr ? Distribution{} : stage->times);
}

SavedRun ReadRun(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) {
    throw BadArgument("'" + path + "': can't be read; a file that --json wrote is needed");
  }
  try {
    const Json json = Json::Parse(text.str());
    if (!json.has("stages")) throw std::runtime_error("no stages (is it a sweep's?)");
    SavedRun run{path, SummaryOf(json["parameters"]), {}};
    for (const auto& [name, stage] : json["stages"].object()) {
      run.stages.push_back({name, stage["text"].string(), false, ReadTimes(stage)});
    }
    SortAsReported(run.stages);
    return run;
  } catch (const std::runtime_error& error) {
    throw BadArgument("'" + path + "' is no file that a run's --json wrote: " + error.what());
  } catch (const std::exception&) {
    throw BadArgument("'" + path +
                      "' is no file that a run's --json wrote: a member is missing or of another "
                      "type");
  }
}

}  // namespace latency

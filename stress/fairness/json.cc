// The JSON file; --help describes it.

#include "stress/common/json.h"

#include "stress/common/args.h"
#include "stress/fairness/report.h"

namespace fairness {
namespace {

using stress::JsonWriter;

void WriteSummary(JsonWriter& json, std::string_view key, const stress::Summary& summary) {
  json.Key(key).BeginObject();
  json.Member("count", summary.count);
  json.Member("p50_ns", summary.p50);
  json.Member("p99_ns", summary.p99);
  json.Member("max_ns", summary.max);
  json.EndObject();
}

void WriteCounts(JsonWriter& json, std::string_view key, const std::vector<Count>& counts) {
  json.Key(key).BeginObject();
  for (const Count& count : counts) json.Member(count.name, count.value);
  json.EndObject();
}

void WriteParameters(JsonWriter& json, const Options& options) {
  json.Key("parameters").BeginObject();
  json.Member("duration_ns", options.duration.count());
  json.Member("procs", options.procs);
  json.Member("slice_ns", options.slice.count());
  json.Member("tickers", kTickers);
  json.Member("ticker_sleep_ns", kTickerSleep.count());
  json.Member("file", options.file);
  json.Key("hogs").BeginObject();
  for (const stress::HogCount& hog : options.hogs) json.Member(hog.kind, hog.count);
  json.EndObject();
  json.EndObject();
}

void WritePhase(JsonWriter& json, const ModeResult& phase) {
  const PhaseResult& r = phase.result;
  json.BeginObject();
  json.Member("preemption", phase.mode == Mode::kPreempted);
  json.Member("failure", r.failure);
  if (!r.failure.empty()) {
    json.EndObject();
    return;
  }
  json.Member("duration_ns", r.duration_ns);
  json.Member("input_bytes", r.input_bytes);
  json.Member("jain_index", r.JainIndex());
  json.Key("hogs").BeginArray();
  for (const HogResult& hog : r.hogs) {
    json.BeginObject();
    json.Member("name", hog.name);
    json.Member("detail", hog.detail);
    json.Member("cpu_ns", hog.cpu_ns);
    json.Member("share", r.Share(hog));
    WriteSummary(json, "slice", hog.slice_ns);
    json.Member("longest_wait_ns", hog.longest_wait_ns);
    json.Member("verified", hog.verified);
    json.Member("failure", hog.failure);
    json.EndObject();
  }
  json.EndArray();
  json.Key("tickers").BeginArray();
  for (const TickerResult& ticker : r.tickers) {
    json.BeginObject();
    json.Member("ticks", ticker.ticks);
    WriteSummary(json, "lateness", ticker.lateness_ns);
    json.EndObject();
  }
  json.EndArray();
  WriteSummary(json, "ticker_lateness", r.lateness_ns);
  json.Key("ping_pong").BeginObject();
  json.Member("round_trips", r.ping_pong.round_trips);
  json.Member("round_trips_per_s",
              static_cast<double>(r.ping_pong.round_trips) / r.duration_ns * 1e9);
  WriteSummary(json, "round_trip", r.ping_pong.round_trip_ns);
  json.Member("longest_silence_ns", r.ping_pong.longest_silence_ns);
  json.Member("failure", r.ping_pong.failure);
  json.EndObject();
  WriteCounts(json, "requests", r.requests);
  WriteCounts(json, "preemptions", r.preemptions);
  WriteCounts(json, "signals", r.signals);
  WriteCounts(json, "deferrals", r.deferrals);
  json.Key("request_to_stop").BeginObject();
  WriteSummary(json, "prologue", r.prologue_stop_ns);
  WriteSummary(json, "signal", r.signal_stop_ns);
  json.EndObject();
  json.Key("starved").BeginArray();
  for (const std::string& name : r.Starved()) json.Value(name);
  json.EndArray();
  json.EndObject();
}

}  // namespace

void WriteJson(std::ostream& out, const Options& options, const std::vector<ModeResult>& phases) {
  const Verdict verdict = Judge(phases);
  std::size_t wrong = 0;
  for (const ModeResult& phase : phases) wrong += phase.result.Failures().size();
  JsonWriter json(out);
  json.BeginObject();
  WriteParameters(json, options);
  json.Key("phases").BeginArray();
  for (const ModeResult& phase : phases) WritePhase(json, phase);
  json.EndArray();
  json.Key("verdict").BeginObject();
  json.Member("nobody_starved", !verdict.starved);
  json.Member("wrong_results", wrong);
  json.Member("exit_status", verdict.good() ? stress::kExitGood : stress::kExitBad);
  json.EndObject();
  json.EndObject();
}

}  // namespace fairness

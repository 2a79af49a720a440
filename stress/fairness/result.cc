// Derived figures, the verdict, and the text form that crosses the pipe.

#include "stress/fairness/result.h"

#include <algorithm>

#include "stress/common/archive.h"

namespace fairness {
namespace {

void VisitResult(auto& archive, PhaseResult& r) {
  archive.Values(r.duration_ns, r.input_bytes, r.ticks_invariant);
  archive.List(r.hogs, [&](HogResult& hog) { VisitHogResult(archive, hog); });
  archive.List(r.tickers, [&](TickerResult& ticker) {
    archive.Values(ticker.ticks);
    VisitSummary(archive, ticker.lateness_ns);
  });
  VisitSummary(archive, r.lateness_ns);
  archive.Values(r.ping_pong.round_trips, r.ping_pong.longest_silence_ns, r.ping_pong.failure);
  VisitSummary(archive, r.ping_pong.round_trip_ns);
  for (auto* counts : {&r.requests, &r.preemptions, &r.signals, &r.deferrals}) {
    VisitCounts(archive, *counts);
  }
  VisitSummary(archive, r.prologue_stop_ns);
  VisitSummary(archive, r.signal_stop_ns);
}

}  // namespace

std::string Serialize(PhaseResult& result) {
  stress::ArchiveWriter writer;
  VisitResult(writer, result);
  return writer.Text();
}

bool Deserialize(const std::string& text, PhaseResult& result) {
  stress::ArchiveReader reader(text);
  VisitResult(reader, result);
  return reader.good();
}

double PhaseResult::TotalCpuNs() const {
  double total = 0;
  for (const HogResult& hog : hogs) total += hog.cpu_ns;
  return total;
}

double PhaseResult::Share(const HogResult& hog) const {
  const double total = TotalCpuNs();
  return total == 0 ? 0 : hog.cpu_ns / total;
}

double PhaseResult::JainIndex() const {
  std::vector<double> served;
  for (const HogResult& hog : hogs) served.push_back(hog.cpu_ns);
  return stress::JainIndex(served);
}

const HogResult& PhaseResult::LeastServed() const {
  return *std::ranges::min_element(hogs, {}, &HogResult::cpu_ns);
}

std::uint64_t PhaseResult::Verified() const {
  std::uint64_t sum = 0;
  for (const HogResult& hog : hogs) sum += hog.verified;
  return sum;
}

std::vector<std::string> PhaseResult::Failures() const {
  std::vector<std::string> failures;
  for (const HogResult& hog : hogs) {
    if (!hog.failure.empty()) failures.push_back(hog.failure);
  }
  if (!ping_pong.failure.empty()) failures.push_back(ping_pong.failure);
  return failures;
}

std::vector<std::string> PhaseResult::Starved() const {
  const double late_ns = std::min(static_cast<double>(kStarvedLateness.count()), duration_ns / 2);
  std::vector<std::string> starved;
  for (const HogResult& hog : hogs) {
    if (Share(hog) < kStarvedShare * FairShare()) starved.push_back(hog.name);
  }
  for (std::size_t i = 0; i < tickers.size(); ++i) {
    if (tickers[i].lateness_ns.max >= late_ns) starved.push_back("ticker " + std::to_string(i + 1));
  }
  if (ping_pong.longest_silence_ns >= late_ns) starved.push_back("ping-pong pair");
  return starved;
}

}  // namespace fairness

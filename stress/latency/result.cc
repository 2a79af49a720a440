// Derived figures, the verdict, and the text form that crosses the pipe.

#include "stress/latency/result.h"

#include <algorithm>

#include "stress/common/archive.h"

namespace latency {
namespace {

void VisitResult(auto& archive, RunResult& r) {
  archive.Values(r.duration_ns, r.ticks_invariant, r.missed);
  archive.List(r.stages, [&](StageResult& stage) {
    archive.Values(stage.name, stage.text, stage.in_chain);
    VisitDistribution(archive, stage.times);
  });
  archive.List(r.windows,
               [&](Window& w) { archive.Values(w.end_ns, w.count, w.p50_ns, w.p99_ns, w.max_ns); });
  for (auto* counts : {&r.requests, &r.asked, &r.preemptions, &r.deferrals}) {
    VisitCounts(archive, *counts);
  }
  archive.List(r.hogs, [&](stress::HogResult& hog) { VisitHogResult(archive, hog); });
}

}  // namespace

std::string Serialize(RunResult& result) {
  stress::ArchiveWriter writer;
  VisitResult(writer, result);
  return writer.Text();
}

bool Deserialize(const std::string& text, RunResult& result) {
  stress::ArchiveReader reader(text);
  VisitResult(reader, result);
  return reader.good();
}

const StageResult* RunResult::Find(std::string_view stage) const {
  const auto found = std::ranges::find(stages, stage, &StageResult::name);
  return found == stages.end() ? nullptr : &*found;
}

std::uint64_t RunResult::Preemptions() const {
  std::uint64_t sum = 0;
  for (const stress::Count& count : preemptions) {
    if (count.name != "voluntary") sum += count.value;
  }
  return sum;
}

std::uint64_t RunResult::Verified() const {
  std::uint64_t sum = 0;
  for (const stress::HogResult& hog : hogs) sum += hog.verified;
  return sum;
}

std::vector<std::string> RunResult::Failures() const {
  std::vector<std::string> failures;
  for (const stress::HogResult& hog : hogs) {
    if (!hog.failure.empty()) failures.push_back(hog.name + ": " + hog.failure);
  }
  return failures;
}

std::string RunResult::WhatIsWrong() const {
  if (!failure.empty()) return "the run " + failure;
  if (!Failures().empty()) return "a hog's result was wrong";
  if (Preemptions() == 0) return "nothing was measured: no goroutine was preempted";
  return "";
}

}  // namespace latency

#include "runtime/recorder/tracks.h"

#include <algorithm>

#include "runtime/trace/event.h"

namespace urge::recorder {
namespace {

constexpr std::uint32_t kProcessors = 1, kThreads = 2, kRuntime = 3;  // pids
constexpr std::uint32_t kSysmonTid = 1, kWorldTid = 2, kOthersTid = 3;

}  // namespace

Tracks::Place Tracks::PlaceOf(const Track& track) const {
  const auto index = static_cast<std::uint32_t>(&track - &tracks_[0]);
  if (index == kMaxTracks / 2 - 1) return {kRuntime, kWorldTid};
  if (index < kMaxTracks / 2) return {kProcessors, index + 1};
  const std::uint32_t thread = index - kMaxTracks / 2;
  if (thread == trace::kSysmonThread) return {kRuntime, kSysmonTid};
  if (thread == trace::kOtherThread) return {kRuntime, kOthersTid};
  return {kThreads, thread + 1};
}

void Tracks::WriteName(std::string_view what, Place place, std::string_view name,
                       std::uint32_t number, bool numbered) {
  out_ << (first_ ? std::string_view("\n") : std::string_view(",\n"));
  first_ = false;
  out_ << R"({"ph":"M","ts":0,"pid":)" << place.pid << R"(,"tid":)" << place.tid << R"(,"name":")"
       << what << R"(","args":{"name":")" << name;
  if (numbered) out_ << number;
  out_ << R"("}})";
}

void Tracks::WriteNames() {
  WriteName("process_name", {kProcessors, 0}, "processors", 0, false);
  WriteName("process_name", {kThreads, 0}, "threads", 0, false);
  WriteName("process_name", {kRuntime, 0}, "runtime", 0, false);
  for (std::uint32_t i = 0; i < kMaxTracks; ++i) {
    if (!tracks_[i].used) continue;
    const Place place = PlaceOf(tracks_[i]);
    if (place.pid == kProcessors) {
      WriteName("thread_name", place, "P", place.tid - 1, true);
    } else if (place.pid == kThreads) {
      WriteName("thread_name", place, "M", place.tid - 1, true);
    } else {
      constexpr std::string_view kNames[] = {"", "sysmon", "world", "other threads"};
      WriteName("thread_name", place, kNames[place.tid], 0, false);
    }
  }
}

void Tracks::SetTime(std::uint64_t ns) {
  while (brief_begin_ != brief_end_ && brief_[brief_begin_ % kBriefSlots].end_ns <= ns) {
    EndFirstBrief(ns);
  }
  now_ns_ = std::max(now_ns_, ns);
}

void Tracks::EndFirstBrief(std::uint64_t at_most_ns) {
  const Brief brief = brief_[brief_begin_++ % kBriefSlots];
  // It may have been closed early, for something longer.
  if (brief.track->top() != Slice::kBrief || brief.track->brief_end_ns != brief.end_ns) return;
  now_ns_ = std::max(now_ns_, std::min(brief.end_ns, at_most_ns));
  EndSlice(*brief.track, now_ns_);
}

void Tracks::Head(std::string_view phase, std::uint64_t ns, Place place) {
  out_ << (first_ ? std::string_view("\n") : std::string_view(",\n"));
  first_ = false;
  out_ << R"({"ph":")" << phase << R"(","ts":)";
  out_.Micros(ns) << R"(,"pid":)" << place.pid << R"(,"tid":)" << place.tid;
}

JsonOut& Tracks::Begin(std::string_view phase, const Track& track) {
  Head(phase, now_ns_, PlaceOf(track));
  return out_;
}

JsonOut& Tracks::BeginCounter() {
  Head("C", now_ns_, {kProcessors, 0});
  return out_;
}

void Tracks::EndSlice(Track& track, std::uint64_t ns) {
  --track.depth;
  Head("E", ns, PlaceOf(track));
  out_ << "}";
}

JsonOut& Tracks::Open(Track& track, Slice slice, std::string_view category) {
  if (track.top() == Slice::kBrief || track.depth == Track::kMaxDepth) Close(track);
  track.open[track.depth++] = slice;
  Head("B", now_ns_, PlaceOf(track));
  return out_ << R"(,"cat":")" << category << R"(","name":")";
}

void Tracks::Close(Track& track) {
  if (track.depth != 0) EndSlice(track, now_ns_);
}

void Tracks::CloseAll(Track& track) {
  while (track.depth != 0) Close(track);
  track.goid = 0;
}

void Tracks::OpenBrief(Track& track, std::string_view name) {
  if (track.depth != 0) return;
  if (brief_end_ - brief_begin_ == kBriefSlots) EndFirstBrief(now_ns_);
  track.brief_end_ns = now_ns_ + kBriefNs;
  brief_[brief_end_++ % kBriefSlots] = {&track, track.brief_end_ns};
  Open(track, Slice::kBrief, "scheduler") << name << R"("})";
}

}  // namespace urge::recorder

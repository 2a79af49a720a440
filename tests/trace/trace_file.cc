// Reading traces; see trace_file.h.
//
// with: stress/common/json_reader.cc

#include "tests/trace/trace_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

namespace urge::testing {

using stress::Json;

namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << "no file " << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool Has(const Json& event, const char* key) { return event.object().contains(key); }

TraceFile::TrackId TrackOf(const Json& event) {
  return {static_cast<int>(event["pid"].number()), static_cast<int>(event["tid"].number())};
}

}  // namespace

TraceFile::TraceFile(const std::string& path) : path_(path) {
  const std::string text = ReadAll(path);
  try {
    json_ = Json::Parse(text);
    for (const Json& event : json_["traceEvents"].array()) {
      Check(event);
      if (::testing::Test::HasFatalFailure()) return;
    }
    EXPECT_EQ(json_["displayTimeUnit"].string(), "ns");
  } catch (const std::exception& wrong) {
    ADD_FAILURE() << path << ": " << wrong.what();
  }
  CheckTheEnd();
}

void TraceFile::CheckMetadata(const Json& event) {
  const std::string name = event["name"].string();
  const std::string& value = event["args"]["name"].string();
  ASSERT_FALSE(value.empty());
  if (name == "process_name") {
    process_names_[TrackOf(event).first] = value;
  } else {
    ASSERT_EQ(name, "thread_name");
    EXPECT_TRUE(track_names_.emplace(TrackOf(event), value).second) << "two names for a track";
  }
}

void TraceFile::Check(const Json& event) {
  for (const char* key : {"ph", "ts", "pid", "tid"}) ASSERT_TRUE(Has(event, key)) << key;
  const std::string& phase = event["ph"].string();
  const double ts = event["ts"].number();
  const TrackId track = TrackOf(event);
  ASSERT_GE(ts, last_ts_) << "time goes back";
  last_ts_ = ts;
  if (phase == "M") {
    CheckMetadata(event);
    return;
  }
  std::vector<std::size_t>& stack = open_[track];
  if (phase == "E") {
    ASSERT_FALSE(stack.empty()) << "an end without a beginning at " << ts;
    slices_[stack.back()].end = ts;
    stack.pop_back();
    return;
  }
  const std::string& name = event["name"].string();
  ASSERT_FALSE(name.empty());
  if (phase == "C") {
    for (const auto& [key, value] : event["args"].object()) EXPECT_GE(value.number(), 0) << key;
    ++counters_[name];
    return;
  }
  ASSERT_TRUE(track_names_.contains(track)) << name << " is on a track without a name";
  const std::string& category = event["cat"].string();
  if (phase == "B") {
    Slice slice{track, name, category, ts, -1, 0, static_cast<int>(stack.size())};
    if (category == "goroutine") {
      slice.goid = static_cast<std::uint64_t>(event["args"]["goid"].number());
      EXPECT_TRUE(name.ends_with(" G" + std::to_string(slice.goid))) << name;
    }
    stack.push_back(slices_.size());
    slices_.push_back(slice);
  } else if (phase == "i") {
    EXPECT_TRUE(event["s"].string() == "t" || event["s"].string() == "g");
    instants_.push_back({track, name, category, ts, &event});
  } else if (phase == "s") {
    EXPECT_FALSE(stack.empty()) << "a flow begins outside of slices at " << ts;
    EXPECT_TRUE(begun_.emplace(event["id"].number(), HalfFlow{track, ts}).second);
  } else if (phase == "f") {
    EXPECT_FALSE(stack.empty()) << "a flow ends outside of slices at " << ts;
    EXPECT_EQ(event["bp"].string(), "e");
    const auto begin = begun_.find(event["id"].number());
    ASSERT_NE(begin, begun_.end()) << "a flow ends that has not begun";
    EXPECT_EQ(++ended_[begin->first], 1);
    flows_.push_back({begin->second.track, track, begin->second.at, ts});
  } else {
    FAIL() << "unknown phase " << phase;
  }
}

void TraceFile::CheckTheEnd() {
  for (const auto& [track, stack] : open_) {
    EXPECT_TRUE(stack.empty()) << "a slice on " << track_names_[track] << " has no end";
  }
  EXPECT_EQ(begun_.size(), ended_.size()) << "a flow has no end";
  for (const char* name : {"processors", "threads", "runtime"}) {
    EXPECT_TRUE(std::ranges::any_of(process_names_, [&](const auto& p) {
      return p.second == name;
    })) << name;
  }
  // Nobody runs on two processors at once.
  std::map<std::uint64_t, double> runs_until;
  for (const Slice& slice : slices_) {
    if (slice.category != "goroutine" || process_names_[slice.track.first] != "processors")
      continue;
    double& until = runs_until[slice.goid];
    EXPECT_LE(until, slice.begin) << slice.name << " runs twice at " << slice.begin;
    until = slice.end;
  }
}

std::vector<TraceFile::Slice> TraceFile::RunsOf(std::string_view goroutine,
                                                std::string_view process) const {
  std::vector<Slice> runs;
  for (const Slice& slice : slices_) {
    if (slice.category == "goroutine" && process_names_.at(slice.track.first) == process &&
        slice.name == std::string(goroutine) + " G" + std::to_string(slice.goid)) {
      runs.push_back(slice);
    }
  }
  return runs;
}

std::size_t TraceFile::CountInstants(std::string_view prefix) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      instants_, [&](const Instant& instant) { return instant.name.starts_with(prefix); }));
}

std::size_t TraceFile::CountSlices(std::string_view prefix) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      slices_, [&](const Slice& slice) { return slice.name.starts_with(prefix); }));
}

std::size_t TraceFile::CountCounters(std::string_view name) const {
  const auto found = counters_.find(std::string(name));
  return found == counters_.end() ? 0 : found->second;
}

std::size_t TraceFile::CountTracks(std::string_view process) const {
  std::set<TrackId> tracks;
  for (const Slice& slice : slices_) {
    if (process_names_.at(slice.track.first) == process) tracks.insert(slice.track);
  }
  return tracks.size();
}

std::string TraceFile::Other(const std::string& key) const {
  return json_["otherData"][key].string();
}

}  // namespace urge::testing

// The tracks of a trace file, and the slices that are open on them.

#ifndef URGE_RUNTIME_RECORDER_TRACKS_H_
#define URGE_RUNTIME_RECORDER_TRACKS_H_

#include <cstdint>
#include <string_view>

#include "runtime/recorder/json_out.h"
#include "runtime/recorder/pages.h"

namespace urge::recorder {

// What a slice is, from the outside in.
enum class Slice : std::uint8_t { kNone, kGoroutine, kSyscall, kParked, kAwake, kWorld, kBrief };

struct Track {
  static constexpr int kMaxDepth = 2;

  bool used = false;
  std::uint8_t depth = 0;
  Slice open[kMaxDepth] = {};
  std::uint64_t goid = 0;          // of the open goroutine
  std::uint32_t mirror = 0;        // on which M's track a P's goroutine shows, counted from 1
  std::uint64_t brief_end_ns = 0;  // of the open brief slice

  Slice top() const { return depth == 0 ? Slice::kNone : open[depth - 1]; }
};

// Writes events with growing time stamps. Each event begins with Begin, which closes brief slices
// whose time is over.
class Tracks {
 public:
  static constexpr std::uint64_t kBriefNs = 1'000;

  explicit Tracks(JsonOut& out) : out_(out) {}

  bool ok() const { return !tracks_.empty() && !brief_.empty(); }
  Track& OfProc(std::uint32_t id) { return tracks_[id]; }
  Track& OfThread(std::uint16_t thread) { return tracks_[kMaxTracks / 2 + thread]; }
  Track& World() { return tracks_[kMaxTracks / 2 - 1]; }

  // Declares the tracks that are used.
  void WriteNames();

  // Time is ns now, and never goes back.
  void SetTime(std::uint64_t ns);
  std::uint64_t time_ns() const { return now_ns_; }

  // The start of an event: {"ph":…,"ts":…,"pid":…,"tid":… without the closing brace.
  JsonOut& Begin(std::string_view phase, const Track& track);
  // The same for a counter.
  JsonOut& BeginCounter();
  // Opens a slice: up to and with "name":"; the caller goes on with the escaped name.
  JsonOut& Open(Track& track, Slice slice, std::string_view category);
  void Close(Track& track);  // the top one
  void CloseAll(Track& track);
  // Makes sure that some slice is open.
  void OpenBrief(Track& track, std::string_view name);

 private:
  static constexpr std::uint32_t kMaxTracks = 1u << 17;
  static constexpr std::uint32_t kBriefSlots = 1u << 12;
  struct Brief {
    Track* track;
    std::uint64_t end_ns;
  };
  struct Place {
    std::uint32_t pid, tid;
  };

  Place PlaceOf(const Track& track) const;
  void Head(std::string_view phase, std::uint64_t ns, Place place);
  void EndSlice(Track& track, std::uint64_t ns);
  void EndFirstBrief(std::uint64_t at_most_ns);
  void WriteName(std::string_view what, Place place, std::string_view name, std::uint32_t number,
                 bool numbered);

  JsonOut& out_;
  Pages<Track> tracks_{kMaxTracks};
  // Open brief slices, first come first closed: they all last equally long.
  Pages<Brief> brief_{kBriefSlots};
  std::uint32_t brief_begin_ = 0, brief_end_ = 0;
  std::uint64_t now_ns_ = 0;
  bool first_ = true;
};

}  // namespace urge::recorder

#endif  // URGE_RUNTIME_RECORDER_TRACKS_H_

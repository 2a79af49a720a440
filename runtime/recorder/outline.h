// The first pass over the events of a trace: what has to be known before the first is written.

#ifndef URGE_RUNTIME_RECORDER_OUTLINE_H_
#define URGE_RUNTIME_RECORDER_OUTLINE_H_

#include <cstdint>
#include <span>

#include "runtime/base/config.h"
#include "runtime/recorder/goroutine_table.h"
#include "runtime/recorder/pages.h"
#include "runtime/trace/event.h"

namespace urge::recorder {

inline bool IsOfProc(const trace::Event& event) { return event.source != trace::kSharedSource; }

// How many goroutines there are, and how many of them wait for a processor.
struct Population {
  std::int64_t alive = 0;
  std::int64_t runnable = 0;

  void Count(const trace::Event& event);
  bool operator==(const Population&) const = default;
};

// Signal-safe: yes.
struct Outline {
  // Changes the events: a kGap's `a` and `thread` say who runs behind it, 0 if that isn't known;
  // and `order` is 1 in those that make a goroutine runnable whose next start is in the trace.
  explicit Outline(std::span<trace::Event> events);
  bool ok() const { return !procs.empty() && !threads.empty() && !open_gap.empty(); }

  GoroutineTable goroutines;
  Pages<bool> procs{base::kMaxProcs};         // that occur
  Pages<bool> threads{std::size_t{1} << 16};  // the same; by Event::thread
  bool world = false;                         // it was stopped
  std::uint64_t lost = 0;                     // events
  Population at_begin;

 private:
  void LearnRunning(std::span<trace::Event> events, const trace::Event& event);
  void LearnGoroutine(std::span<trace::Event> events, std::size_t i);

  // The last gap of each P, counted from 1, until it is known who runs behind it.
  Pages<std::uint32_t> open_gap{base::kMaxProcs};
};

}  // namespace urge::recorder

#endif  // URGE_RUNTIME_RECORDER_OUTLINE_H_

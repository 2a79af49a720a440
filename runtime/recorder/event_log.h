// Taking events out of the rings, and bringing them into one order.
//
//  1. A Cursor remembers how far a ring has been read. Drain hands on what has been written since,
//     with an EventKind::kGap where reading begins and where events were overwritten or lost first.
//  2. An event that is begun and not finished stops the reading of its ring until the next Drain,
//     which then passes over it: its writer sleeps, or gave up (event_ring.h).
//  3. Events of all rings, end to end in one array, are sorted by their stamps. The stamps are the
//     processor's, which counts in step on all cores; events of one ring that have the same stamp
//     keep their order.

#ifndef URGE_RUNTIME_RECORDER_EVENT_LOG_H_
#define URGE_RUNTIME_RECORDER_EVENT_LOG_H_

#include <cstdint>
#include <span>

#include "runtime/base/config.h"
#include "runtime/recorder/pages.h"
#include "runtime/sched/sched.h"
#include "runtime/trace/recording.h"

namespace urge::recorder {

struct Cursor {
  std::uint64_t next = 0;
  std::uint64_t unfinished = ~std::uint64_t{0};  // the place that stopped the last Drain
  std::uint64_t lost = 0;                        // since the last event
  bool begun = false;
};

// The gap before `event`, in which `lost` events were lost.
trace::Event GapBefore(const trace::Event& event, std::uint64_t lost);

// Calls sink(event) for each event since the last time, up to `end`.
template <class Sink>
void Drain(const trace::EventRing& ring, std::uint16_t source, Cursor& cursor, std::uint64_t end,
           Sink sink) {
  for (;;) {
    const std::uint64_t head = ring.head();
    if (head > cursor.next + ring.capacity()) {
      cursor.lost += head - ring.capacity() - cursor.next;
      cursor.next = head - ring.capacity();
    }
    if (cursor.next >= end) return;
    trace::Event event;
    switch (ring.Read(cursor.next, &event)) {
      case trace::EventRing::Found::kEvent:
        event.source = source;
        if (!cursor.begun || cursor.lost != 0) sink(GapBefore(event, cursor.lost));
        cursor.begun = true;
        cursor.lost = 0;
        sink(event);
        ++cursor.next;
        break;
      case trace::EventRing::Found::kUnfinished:
        if (cursor.unfinished != cursor.next) {
          cursor.unfinished = cursor.next;
          return;
        }
        ++cursor.lost;
        ++cursor.next;
        break;
      case trace::EventRing::Found::kOverwritten:
        break;  // the cursor is moved above
    }
  }
}

// Calls visit(ring, source) for the shared ring, and that of each P that ever was.
template <class Visit>
void ForEachRing(Visit visit) {
  if (trace::shared_ring.allocated()) visit(trace::shared_ring, trace::kSharedSource);
  for (std::uint16_t i = 0; i < base::kMaxProcs; ++i) {
    const sched::P* p = sched::g_sched.all_ps[i];
    if (p == nullptr) return;
    if (p->events.allocated()) visit(p->events, i);
  }
}

// Where a trace that begins now reads from.
struct Cursors {
  Cursor shared;
  Cursor of_p[base::kMaxProcs];

  Cursor& Of(std::uint16_t source) {
    return source == trace::kSharedSource ? shared : of_p[source];
  }
};
void StartAtHeads(Cursors& cursors);
// Hands on what has come since, from all rings.
template <class Sink>
void DrainAll(Cursors& cursors, Sink sink) {
  ForEachRing([&](const trace::EventRing& ring, std::uint16_t source) {
    Drain(ring, source, cursors.Of(source), ring.head(), sink);
  });
}

// What all rings hold at this moment; empty if there is no memory. Recording goes on meanwhile, and
// what it overwrites is lost. Signal-safe: yes.
class Snapshot {
 public:
  Snapshot();
  std::span<trace::Event> events() { return {events_.data(), count_}; }

 private:
  Pages<trace::Event> events_;
  std::size_t count_ = 0;
};

// By time. Signal-safe: yes.
void Sort(std::span<trace::Event> events);

}  // namespace urge::recorder

#endif  // URGE_RUNTIME_RECORDER_EVENT_LOG_H_

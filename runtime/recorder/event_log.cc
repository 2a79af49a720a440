#include "runtime/recorder/event_log.h"

#include <algorithm>

namespace urge::recorder {

using trace::Event;
using trace::EventKind;

Event GapBefore(const Event& event, std::uint64_t lost) {
  Event gap;
  gap.ticks = event.ticks;
  gap.b = lost;
  gap.source = event.source;
  gap.order = event.order;
  gap.kind = EventKind::kGap;
  return gap;
}

void StartAtHeads(Cursors& cursors) {
  for (Cursor& cursor : cursors.of_p) cursor = Cursor();
  cursors.shared = Cursor();
  ForEachRing([&](const trace::EventRing& ring, std::uint16_t source) {
    cursors.Of(source).next = ring.head();
  });
}

Snapshot::Snapshot() {
  std::size_t most = 0;
  // Two for each event that is there at the end: gaps may be between them all.
  ForEachRing([&](const trace::EventRing& ring, std::uint16_t) {
    most += 2 * std::min(ring.head(), ring.capacity());
  });
  events_ = Pages<Event>(most);
  const std::uint64_t since = trace::recording_since.load(std::memory_order_relaxed);
  ForEachRing([&](const trace::EventRing& ring, std::uint16_t source) {
    const std::uint64_t end = ring.head();
    Cursor cursor;
    cursor.next = end - std::min(end, ring.capacity());
    const auto sink = [&](const Event& event) {
      if (event.ticks < since || count_ == events_.size()) return;
      events_[count_++] = event;
    };
    // Again, past events that are being written just now.
    for (int round = 0; round < 64 && cursor.next < end; ++round) {
      Drain(ring, source, cursor, end, sink);
    }
  });
  Sort(events());
}

void Sort(std::span<Event> events) {
  std::sort(events.begin(), events.end(), [](const Event& x, const Event& y) {
    if (x.ticks != y.ticks) return x.ticks < y.ticks;
    if (x.source != y.source) return x.source < y.source;
    if (x.order != y.order) return static_cast<std::int16_t>(x.order - y.order) < 0;
    return x.kind == EventKind::kGap && y.kind != EventKind::kGap;
  });
}

}  // namespace urge::recorder

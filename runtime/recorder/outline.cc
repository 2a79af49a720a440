#include "runtime/recorder/outline.h"

#include <algorithm>
#include <cstring>

#include "runtime/sched/sched.h"

namespace urge::recorder {

using trace::Event;
using trace::EventKind;

namespace {

// Does `a` name a goroutine?
bool IsAboutGoroutine(EventKind kind) {
  return kind <= EventKind::kSteal || kind == EventKind::kStarve;
}

}  // namespace

void Population::Count(const Event& event) {
  switch (event.kind) {
    case EventKind::kGoCreate:
      ++alive;
      ++runnable;
      break;
    case EventKind::kGoEnd:
      --alive;
      break;
    case EventKind::kPreemptRequeue:
      runnable += event.detail != static_cast<std::uint8_t>(trace::PreemptedTo::kStaysStopped);
      break;
    case EventKind::kGoUnblock:
    case EventKind::kGoYield:
    case EventKind::kSyscallQueue:
      ++runnable;
      break;
    case EventKind::kGoStart:
      --runnable;
      break;
    default:
      break;
  }
}

// Who runs on a P where its ring begins is told by the first event that he is in.
void Outline::LearnRunning(std::span<Event> events, const Event& event) {
  if (!IsOfProc(event)) return;
  std::uint32_t& gap = open_gap[event.source];
  if (gap == 0) return;
  std::uint64_t goid = 0;
  switch (event.kind) {
    case EventKind::kGoYield:
    case EventKind::kGoBlock:
    case EventKind::kGoEnd:
    case EventKind::kSyscallEnter:
    case EventKind::kPreemptHandle:
    case EventKind::kPreemptStop:
      goid = event.a;
      break;
    case EventKind::kGoUnblock:
      goid = event.b;
      break;
    case EventKind::kGoStart:
    case EventKind::kSyscallExit:
    case EventKind::kSyscallRetake:
    case EventKind::kProcStart:
    case EventKind::kProcStop:
      gap = 0;  // nobody
      return;
    default:
      return;
  }
  if (goid == 0) return;
  events[gap - 1].a = goid;
  events[gap - 1].thread = event.thread;
  goroutines.At(goid);
  gap = 0;
}

void Outline::LearnGoroutine(std::span<Event> events, std::size_t i) {
  const Event& event = events[i];
  Goroutine* g = goroutines.At(event.a);
  if (g == nullptr) return;
  switch (event.kind) {
    case EventKind::kGoCreate:
      g->entry_pc = event.b;
      g->readied_by = static_cast<std::uint32_t>(i + 1);
      break;
    case EventKind::kGoUnblock:
      g->readied_by = static_cast<std::uint32_t>(i + 1);
      break;
    case EventKind::kGoStart:
      if (g->readied_by != 0) events[g->readied_by - 1].order = 1;
      g->readied_by = 0;
      g->entry_pc = event.b;
      break;
    case EventKind::kGoEnd:
      g->entry_pc = event.b;
      break;
    case EventKind::kGoName:
      std::memcpy(g->name + event.detail % 4 * 8, &event.b, 8);
      break;
    default:
      break;
  }
}

Outline::Outline(std::span<Event> events) {
  if (!ok()) return;
  Population population;
  std::int64_t lowest = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    Event& event = events[i];
    event.order = 0;
    if (event.kind == EventKind::kGap) {
      lost += event.b;
      if (IsOfProc(event)) open_gap[event.source] = static_cast<std::uint32_t>(i + 1);
      continue;
    }
    if (IsOfProc(event)) procs[event.source] = true;
    threads[event.thread] = true;
    world |= event.kind >= EventKind::kWorldStop && event.kind <= EventKind::kWorldStart;
    LearnRunning(events, event);
    population.Count(event);
    lowest = std::min(lowest, population.runnable);
    if (IsAboutGoroutine(event.kind)) LearnGoroutine(events, i);
  }
  goroutines.ReadLivingNames();
  // Those who live now lived at the end; and never were fewer than none runnable.
  at_begin.alive = static_cast<std::int64_t>(sched::CountGoroutines()) - population.alive;
  at_begin.runnable = -lowest;
}

}  // namespace urge::recorder

#include "runtime/sched/record.h"

#include <cstring>

#include "runtime/base/check.h"
#include "runtime/sched/sched.h"

namespace urge::sched {

using base::Ticks;

namespace {

constinit std::atomic<std::uintptr_t> g_sysmon_tcb{0};

std::uintptr_t OwnTcb() {
  std::uintptr_t tcb;
  asm("movq %%fs:0, %0" : "=r"(tcb));
  return tcb;
}

std::uint16_t ThreadOf(const M* m) {
  if (m != nullptr) return static_cast<std::uint16_t>(m->id);
  return OwnTcb() == g_sysmon_tcb.load(std::memory_order_relaxed) ? trace::kSysmonThread
                                                                  : trace::kOtherThread;
}

trace::EventRing* RingOf(const M* m) {
  return m == nullptr || m->p == nullptr ? nullptr : m->p->ring.load(std::memory_order_acquire);
}

void Write(const M* m, EventKind kind, std::uint8_t detail, std::uint64_t a, std::uint64_t b,
           std::uint64_t ticks) {
  if (trace::EventRing* ring = RingOf(m)) {
    ring->Write(kind, detail, ThreadOf(m), a, b, ticks);
  } else if (trace::shared_ring.allocated()) {
    trace::shared_ring.WriteShared(kind, detail, ThreadOf(m), a, b, ticks);
  }
}

// A name is told when its goroutine ends; those of living ones can be read (recorder/goroutines.h).
void WriteName(const M* m, const G* gp, std::uint64_t ticks) {
  for (std::uint8_t part = 0; part < sizeof(gp->name) / 8; ++part) {
    std::uint64_t bytes;
    std::memcpy(&bytes, gp->name + part * 8, 8);
    Write(m, EventKind::kGoName, part, gp->goid, bytes, ticks);
    if (memchr(&bytes, 0, 8) != nullptr) return;
  }
}

void NoteStart(G* gp, std::uint64_t now) {
  const std::uint64_t since = gp->queued_ticks.load(std::memory_order_relaxed);
  gp->queued_ticks.store(0, std::memory_order_relaxed);
  const std::uint64_t most = trace::starvation_ticks.load(std::memory_order_relaxed);
  if (URGE_LIKELY(most == 0) || since < trace::recording_since.load(std::memory_order_relaxed) ||
      now - since < most || now < since) {
    return;
  }
  const std::uint64_t waited_ns = base::NsOfTicks(now - since);
  Write(CurrentM(), EventKind::kStarve, 0, gp->goid, waited_ns, now);
  trace::ReportStarvation(gp->goid, waited_ns);
}

}  // namespace

void RecordSwitch(M* m, P* p, G* from, EventKind stop, std::uint8_t detail, G* to) {
  trace::EventRing* ring = p->ring.load(std::memory_order_acquire);
  if (ring == nullptr) return;
  const std::uint64_t now = Ticks();
  const std::uint16_t thread = ThreadOf(m);
  ring->Write(stop, detail, thread, from->goid, 0, now);
  if (stop == EventKind::kGoYield) from->queued_ticks.store(now, std::memory_order_relaxed);
  if (to == nullptr) return;
  ring->Write(EventKind::kGoStart, 0, thread, to->goid, to->start_pc, now);
  NoteStart(to, now);
}

void RecordStart(M* m, P* p, G* gp) {
  trace::EventRing* ring = p->ring.load(std::memory_order_acquire);
  if (ring == nullptr) return;
  const std::uint64_t now = Ticks();
  ring->Write(EventKind::kGoStart, 0, ThreadOf(m), gp->goid, gp->start_pc, now);
  NoteStart(gp, now);
}

void RecordEnd(M* m, P* p, G* gp, G* to) {
  trace::EventRing* ring = p->ring.load(std::memory_order_acquire);
  if (ring == nullptr) return;
  const std::uint64_t now = Ticks();
  if (gp->name[0] != 0) WriteName(m, gp, now);
  ring->Write(EventKind::kGoEnd, 0, ThreadOf(m), gp->goid, gp->start_pc, now);
  if (to == nullptr) return;
  ring->Write(EventKind::kGoStart, 0, ThreadOf(m), to->goid, to->start_pc, now);
  NoteStart(to, now);
}

void RecordCreate(M* m, G* gp) {
  const std::uint64_t now = Ticks();
  gp->queued_ticks.store(now, std::memory_order_relaxed);
  Write(m, EventKind::kGoCreate, 0, gp->goid, gp->start_pc, now);
}

void RecordUnblock(M* m, G* gp) {
  const G* by = m == nullptr ? nullptr : m->curg.load(std::memory_order_relaxed);
  const std::uint64_t now = Ticks();
  gp->queued_ticks.store(now, std::memory_order_relaxed);
  Write(m, EventKind::kGoUnblock, 0, gp->goid, by == nullptr ? 0 : by->goid, now);
}

void RecordQueued(G* gp) { gp->queued_ticks.store(Ticks(), std::memory_order_relaxed); }

void RecordSlow(std::uint64_t ticks, EventKind kind, std::uint8_t detail, std::uint64_t a,
                std::uint64_t b) {
  Write(CurrentM(), kind, detail, a, b, ticks);
}

void RecordOnSlow(P* p, EventKind kind, std::uint8_t detail, std::uint64_t a, std::uint64_t b) {
  SyncRecording(p);
  const std::uint16_t thread = ThreadOf(CurrentM());
  if (trace::EventRing* ring = p->ring.load(std::memory_order_acquire)) {
    ring->Write(kind, detail, thread, a, b);
  }
}

void SyncRecordingSlow(P* p) {
  const bool on =
      trace::Recording() && p->events.Allocate(trace::ring_events.load(std::memory_order_relaxed));
  // release: publishes the slots. Without memory the P's events go to the shared ring.
  p->ring.store(on ? &p->events : nullptr, std::memory_order_release);
}

void RecordAsSysmon() { g_sysmon_tcb.store(OwnTcb(), std::memory_order_relaxed); }

}  // namespace urge::sched

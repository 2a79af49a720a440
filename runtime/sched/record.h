// Recording what the scheduler does (trace/event.h).
//
// The hot places (switches, Ready, spawns) test their P's ring pointer, which lies on the line that
// they have loaded anyway, and call one of the functions below. All others call Record, which asks
// a word that is only read.
//
// Who writes to a P's ring owns the P: its M, as long as M::p says so, with the handlers that
// interrupt it there; or whoever holds a P that is nobody's (RecordOn).

#ifndef URGE_RUNTIME_SCHED_RECORD_H_
#define URGE_RUNTIME_SCHED_RECORD_H_

#include "runtime/sched/current.h"
#include "runtime/sched/p.h"
#include "runtime/trace/recording.h"

namespace urge::sched {

using trace::EventKind;

// True while events are recorded: the caller then calls one of the functions below.
inline bool IsRecording(const P* p) {
  // acquire: the ring's slots; pairs with SyncRecording.
  return p->ring.load(std::memory_order_acquire) != nullptr;
}

// `from` stops as `stop` says and, on the same P, `to` starts; null: somebody is looked for.
void RecordSwitch(M* m, P* p, G* from, EventKind stop, std::uint8_t detail, G* to);
void RecordStart(M* m, P* p, G* gp);
void RecordEnd(M* m, P* p, G* gp, G* to);
void RecordCreate(M* m, G* gp);
void RecordUnblock(M* m, G* gp);
// gp is queued: who waits for longer than starvation_ticks from now on starves.
void RecordQueued(G* gp);

void RecordSlow(std::uint64_t ticks, EventKind kind, std::uint8_t detail, std::uint64_t a,
                std::uint64_t b);
void RecordOnSlow(P* p, EventKind kind, std::uint8_t detail, std::uint64_t a, std::uint64_t b);

// Runs on: any thread, handlers too. Signal-safe: yes.
inline void Record(EventKind kind, std::uint8_t detail = 0, std::uint64_t a = 0,
                   std::uint64_t b = 0) {
  if (__builtin_expect(trace::Recording(), 0)) RecordSlow(base::Ticks(), kind, detail, a, b);
}
// The same, of that moment.
inline void RecordAt(std::uint64_t ticks, EventKind kind, std::uint8_t detail, std::uint64_t a,
                     std::uint64_t b = 0) {
  if (__builtin_expect(trace::Recording(), 0)) RecordSlow(ticks, kind, detail, a, b);
}
// Requires: p is the caller's, though not as its M's P.
inline void RecordOn(P* p, EventKind kind, std::uint8_t detail = 0, std::uint64_t a = 0,
                     std::uint64_t b = 0) {
  if (__builtin_expect(trace::Recording(), 0)) RecordOnSlow(p, kind, detail, a, b);
}

// Gives p a ring, or takes it away, as Recording() says. Runs on: the owner, or the recorder.
void SyncRecordingSlow(P* p);
inline void SyncRecording(P* p) {
  if (__builtin_expect(trace::Recording() != IsRecording(p), 0)) SyncRecordingSlow(p);
}

// The calling thread is sysmon.
void RecordAsSysmon();

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_RECORD_H_

// Whether events are recorded, where those of threads without a P go, and what the recorder's
// thread is asked to do.
//
//  1. Each P has a ring (sched/p.h), which its owner finds by a pointer that is null while nothing
//     is recorded: one branch on a line that every switch has loaded.
//  2. Everybody else asks Recording() and writes to shared_ring.
//  3. Rings are made when recording first begins, and kept. Readers: runtime/recorder.

#ifndef URGE_RUNTIME_TRACE_RECORDING_H_
#define URGE_RUNTIME_TRACE_RECORDING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/trace/event_ring.h"

namespace urge::trace {

// [a] Set and cleared by the recorder.
extern std::atomic<bool> recording;
inline bool Recording() { return recording.load(std::memory_order_relaxed); }

// The events of sysmon, plain threads, and Ms without a P. Allocated while Recording().
extern EventRing shared_ring;

// Events that a ring holds; a power of two. Set before the first ring is made.
extern std::atomic<std::size_t> ring_events;

// [a] Ticks() when recording last began: older stamps mean nothing.
extern std::atomic<std::uint64_t> recording_since;

// [a] A goroutine that is runnable for longer starves; 0: nobody looks. Ticks, and ns.
extern std::atomic<std::uint64_t> starvation_ticks;
extern std::atomic<std::uint64_t> starvation_ns;

// Bits of `requests`, the futex that the recorder's thread sleeps on.
enum Request : std::uint32_t {
  kSnapshotWanted = 1u << 0,  // by signal
  kStarvationSeen = 1u << 1,
  kLookAgain = 1u << 2,  // what to do has changed
};
extern std::atomic<std::uint32_t> requests;
// Runs on: any thread. Signal-safe: yes.
void Ask(Request request);

// The goroutine was found runnable for too long. The first of many is reported.
struct Starvation {
  std::atomic<std::uint64_t> goid{0};  // [a] 0: none
  std::atomic<std::uint64_t> waited_ns{0};
};
extern Starvation starvation;
// Runs on: any thread. Signal-safe: yes.
void ReportStarvation(std::uint64_t goid, std::uint64_t waited_ns);

}  // namespace urge::trace

#endif  // URGE_RUNTIME_TRACE_RECORDING_H_

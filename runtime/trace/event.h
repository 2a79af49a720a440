// What the flight recorder records: 32 bytes an event.
//
// An event is written by whoever does what it tells of, at that moment. Its words `a` and `b` mean
// what is said at its kind; goroutines are named by their ids, since a G is used again.

#ifndef URGE_RUNTIME_TRACE_EVENT_H_
#define URGE_RUNTIME_TRACE_EVENT_H_

#include <cstddef>
#include <cstdint>

namespace urge::trace {

enum class EventKind : std::uint8_t {
  kNone,

  // Goroutines. a: goid.
  kGoCreate,   // b: pc of its entry function
  kGoStart,    // runs on this P and M from now on. b: as above
  kGoYield,    // stops, and is queued
  kGoBlock,    // stops, and waits. detail: why (sched::WaitReason)
  kGoUnblock,  // is made runnable. b: the goroutine that did it, 0 if none
  kGoEnd,      // b: pc of its entry function
  kGoName,     // b: eight bytes of its name. detail: which eight

  // System calls, and other calls that block the thread. a: goid.
  kSyscallEnter,   // detail: 1 if known to block (sched::SyscallKind)
  kSyscallExit,    // goes on, on this P
  kSyscallQueue,   // comes back, finds no P, and is queued
  kSyscallRetake,  // this P is taken away from it. a: 0

  // Preemption. a: goid.
  kPreemptAsk,      // detail: why (sched::PreemptReason). b: its P; ticks since it was due << 16
  kPreemptMark,     // its guard is poisoned. b: its P
  kPreemptSignal,   // the signal is sent to its thread. b: its P
  kPreemptHandle,   // the handler is entered. detail: 1 if by the thread's own timer
  kPreemptDefer,    // not now. detail: why (trace::Counter). b: pc, 0 if that is not the reason
  kPreemptStop,     // off its processor, with frames walked. detail: 1 if stopped by a signal.
                    // b: Ticks() when its own code stopped
  kPreemptRequeue,  // detail: where to (PreemptedTo)

  // Ps and Ms.
  kSteal,         // a: the goroutine that runs next. b: the victim P; how many << 32
  kTimerFire,     // a: ns late
  kProcStart,     // this M has this P
  kProcStop,      // and has it no more
  kProcHandOff,   // is given to whoever wants it. detail: 1 if out of a system call
  kThreadStart,   // a: tid
  kThreadPark,    // detail: 1 if it waits for its wired goroutine
  kThreadUnpark,  //
  kThreadExit,    //
  kSysmonWake,    //
  kSysmonSleep,   // a: until when, CLOCK_MONOTONIC ns
  kWorldStop,     // somebody asks everybody to stop
  kWorldStopped,  // detail: 1 if all have
  kWorldStart,    //
  kStarve,        // found runnable for too long. a: goid. b: ns so far

  // Not recorded; a reader of rings puts it where a ring begins or events were lost.
  kGap,  // b: how many

  kCount
};
inline constexpr std::size_t kEventKindCount = static_cast<std::size_t>(EventKind::kCount);

// Where a preempted goroutine goes.
enum class PreemptedTo : std::uint8_t { kGlobalQueue, kHeadOfItsP, kStaysStopped };

// Values of Event::source beyond those that are a P's.
inline constexpr std::uint16_t kSharedSource = 0xffff;
// Values of Event::thread beyond those that are an M's.
inline constexpr std::uint16_t kSysmonThread = 0xfffe;
inline constexpr std::uint16_t kOtherThread = 0xffff;

// As readers get it.
struct Event {
  std::uint64_t ticks = 0;  // base::Ticks()
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint16_t source = kSharedSource;  // whose ring it was in: a P's id
  std::uint16_t order = 0;               // its place there, modulo 2^16
  std::uint16_t thread = kOtherThread;   // an M's id
  EventKind kind = EventKind::kNone;
  std::uint8_t detail = 0;
};
static_assert(sizeof(Event) == 32);

}  // namespace urge::trace

#endif  // URGE_RUNTIME_TRACE_EVENT_H_

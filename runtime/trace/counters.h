// What the runtime counts and times, and where it keeps the figures.
//
//  1. Every P embeds a ProcStats, which only the P's current M (and handlers on that thread)
//     writes, with plain additions: counting costs about a nanosecond and shares no cache line.
//  2. Threads without a P (sysmon, plain threads, an M that looks for work) write the one shared
//     ProcStats with atomic additions.
//  3. Each ProcStats is registered once, for ever. Readers sum over the registry; see metrics.cc.
//
// Accounting invariant, once nothing is pending: every request (kRequests*) has been acknowledged
// by exactly one of kAck*, or superseded by a later request to the same goroutine.

#ifndef URGE_RUNTIME_TRACE_COUNTERS_H_
#define URGE_RUNTIME_TRACE_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/config.h"
#include "runtime/trace/histogram.h"
#include "runtime/trace/owned_counter.h"

namespace urge::trace {

enum class Counter : std::uint8_t {
  // Goroutines and scheduling.
  kSpawns,
  kExits,
  kYields,
  kParks,
  kReadies,
  kSteals,  // successful ones
  kStolenGoroutines,
  kHandoffs,
  kSyscallRetakes,
  kSparePs,  // Ps added for stuck ones
  kTimersFired,
  kThreadsStarted,
  kSysmonWakeups,
  // Preemption: why somebody was asked to stop, how he was asked, how he answered.
  kRequestsSlice,
  kRequestsWakeup,
  kRequestsStop,
  kMarks,
  kSignalsSent,
  kTimerSignals,
  kAckPrologue,
  kAckSignal,
  kAckVoluntary,  // switched off by itself before either
  kSuperseded,    // a stronger request took the place of one that was pending
  kWiredByFrame,  // of those acknowledged: stopped in thread-bound code, so it keeps its thread
  // Why a request was not served at once.
  kDeferRuntime,
  kDeferRuntimeLock,
  kDeferOpaque,
  kDeferDenied,
  kDeferNoPreempt,
  kDeferNoRoom,
  kDeferForeignStack,
  kDeferSignalMask,
  kDeferCallback,
  kDeferUnwalkable,
  kDeferThreads,
  kDeferNotWanted,
  kCount
};
inline constexpr std::size_t kCounterCount = static_cast<std::size_t>(Counter::kCount);

enum class Latency : std::uint8_t {
  kSliceLength,    // how long a goroutine ran before it was preempted
  kTimerLateness,  // deadline of a timer to its callback
  kAckPrologue,    // request until the goroutine's own code stopped
  kAckSignal,
  kWakeupToRun,         // Ready, by a timer or a thread without a P, to the goroutine's running
  kSliceTimerDelivery,  // a slice timer's end to its signal's handler
  // The stages of a preemption, each named by the event that ends it: stages.h.
  kPreemptDetected,
  kPreemptMarked,
  kPreemptSignalled,
  kPreemptHandled,
  kPreemptAccepted,
  kPreemptDeferred,  // part of kPreemptAccepted
  kPreemptSwitchedOff,
  kPreemptRequeued,
  kPreemptNextRunning,
  kPreemptTotal,
  kCount
};
inline constexpr std::size_t kLatencyCount = static_cast<std::size_t>(Latency::kCount);

struct alignas(base::kCacheLine) ProcStats {
  std::array<OwnedCounter, kCounterCount> counters;  // [p]
  std::array<Histogram, kLatencyCount> latencies;    // [p]

  // Runs on: the owning P's M (G, g0, handler). Signal-safe: yes.
  void Add(Counter counter, std::uint64_t n = 1) {
    counters[static_cast<std::size_t>(counter)].Add(n);
  }
  void Record(Latency latency, std::uint64_t ns) {
    latencies[static_cast<std::size_t>(latency)].Record(ns);
  }
};

// The stats of everything that has no P.
extern ProcStats shared_stats;

// Runs on: any thread. Signal-safe: yes.
inline void AddShared(Counter counter, std::uint64_t n = 1) {
  shared_stats.counters[static_cast<std::size_t>(counter)].AddShared(n);
}
inline void RecordShared(Latency latency, std::uint64_t ns) {
  shared_stats.latencies[static_cast<std::size_t>(latency)].RecordShared(ns);
}

// Makes `stats` part of every sum from now on. Lock-free.
// Requires: stats lives for ever; at most base::kMaxProcs are registered.
void RegisterStats(const ProcStats* stats);

// Sums over the registered and the shared stats.  Runs on: any thread.
std::uint64_t SumOf(Counter counter);
void SumOf(Latency latency, HistogramSnapshot& sum);

}  // namespace urge::trace

#endif  // URGE_RUNTIME_TRACE_COUNTERS_H_

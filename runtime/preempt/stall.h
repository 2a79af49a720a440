// Goroutines that don't stop when asked: noticed, and shown where they are.
//
// URGE_DEBUG=stall=5ms sets the bound. A request that is older than it is a stall:
//  1. The preemption signal's handler finds out first, where it has to put the request off
//     (NoteVerdict), or g0 does, when it sends a goroutine on that was switched off in a callback
//     (NoteSentOn). Both know the registers, so they walk the stack there and then.
//  2. Where no handler gets to run, as signals are blocked or the thread gets no CPU, sysmon finds
//     out (WatchForStall), a while later. It can't see the stack; should a handler run after all,
//     that one shows it.
//  3. Each finds a stall once. What is found is left in one of a few slots, and whoever prints it
//  is
//     woken through a hook: names and lines are looked up there (traceback/stall_report.h).
//  4. Stalls of the same cause in the same function of the user's are one site. A site is shown
//     kStallsPerMinute times a minute; the others are counted, and told with its next report or
//     when the process exits.
//
// The same two hooks count deferrals by function (trace/deferrals.h), always, and answer those who
// want to see a running goroutine's stack (probe.h).
//
// Source: the stall detector of Seastar (src/core/reactor.cc), which looks by a timer signal.

#ifndef URGE_RUNTIME_PREEMPT_STALL_H_
#define URGE_RUNTIME_PREEMPT_STALL_H_

#include <signal.h>

#include <cstdint>

#include "runtime/sched/sched.h"

namespace urge::preempt {

inline constexpr int kStallFrames = 64;

struct StallReport {
  std::uint64_t goid = 0;
  std::uint64_t parent_goid = 0;
  std::uintptr_t go_pc = 0;
  sched::LabelRef labels;
  char name[32] = {};
  int tid = 0;
  std::uint64_t asked_ns = 0;    // how long ago it was asked
  std::uint64_t suppressed = 0;  // stalls of this site that were not shown before this one
  trace::Counter cause = trace::Counter::kCount;  // kCount: no handler has run, so nobody knows
  bool in_system_call = false;
  std::uintptr_t culprit = 0;  // in the code that put it off; 0: the frames tell
  bool more_frames = false;
  int frames = 0;
  std::uintptr_t pcs[kStallFrames] = {};
};

// --- Hooks ---

// After the handler's verdict (signal.cc, Decide) and before anything is injected.
void NoteVerdict(sched::M* m, sched::G* gp, trace::Counter verdict, const ucontext_t& context);
// A goroutine that was switched off goes on at once because of the code at `culprit`. Runs on: g0.
void NoteSentOn(sched::M* m, sched::G* gp, trace::Counter cause, std::uintptr_t culprit);
// Looks at a P whose goroutine was asked; returns when to look again. Runs on: sysmon.
std::uint64_t WatchForStall(sched::P* p, std::uint64_t now_ns);

// --- For whoever prints ---

// Called when a report is ready. Signal-safe.
void SetStallHook(void (*hook)());
// Takes a report; false if there is none.
bool TakeStallReport(StallReport* report);
// How many stalls were not shown, and haven't been told of; they count as told now.
std::uint64_t TakeSuppressedStalls();

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_STALL_H_

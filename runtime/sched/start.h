// What lower layers ask of the composition root (runtime/boot.cc) and of the traceback layer.

#ifndef URGE_RUNTIME_SCHED_START_H_
#define URGE_RUNTIME_SCHED_START_H_

#include <atomic>

#include "runtime/sched/g.h"

namespace urge::sched {

extern std::atomic<bool> g_started;
void StartWithDefaults();

// Starts the runtime with the default options unless it runs.
// Errors: as urge::start.
inline void EnsureStarted() {
  // acquire: pairs with the release at the end of start(); what it built is visible.
  if (__builtin_expect(!g_started.load(std::memory_order_acquire), 0)) StartWithDefaults();
}

// The calling goroutine's stack and ancestors, for a child. Runs on: G. See
// URGE_DEBUG=tracebackancestors.
AncestorRef RecordAncestors(const G* parent);

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_START_H_

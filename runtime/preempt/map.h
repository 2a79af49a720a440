// The preemption map: what the text at a pc is, for the signal handler.
//
// 1. Rebuild takes a snapshot of the loaded modules (modules.h), applies the policy to each
//    (module_text.h), flattens the result into sorted, disjoint ranges and publishes them as one
//    immutable table through one atomic pointer.
// 2. Classify, in the handler, searches that table.
// 3. What the loader does meanwhile is noticed by Stale (a poll of its counters), by a kUnknown
// from
//    Classify, or by whoever interposes dlopen and dlclose: after a dlopen, Rebuild; around a
//    dlclose, a ModuleWithdrawal (withdrawal.h). Until a new module was seen its text is kUnknown,
//    that is, not preemptible, so being late costs latency and nothing else.
//
// Invariants
//  - A table is never changed while it is published, and its memory is never freed (table.h).
//  - Rebuild never waits for another thread's Rebuild, so it may be called by a constructor of a
//    module that is being loaded, under the loader's lock. If a rebuild is under way, that one does
//    the work of both, and the effect comes a little after the call's return.
//  - A pc that is not in the map is never preemptible.
//
// Rejected: interposing mmap, or a hook in the loader's debug interface (r_brk is a breakpoint's);
// a lock around rebuilding (a constructor under the loader's lock would wait for a builder that
// waits for the loader's lock).

#ifndef URGE_RUNTIME_PREEMPT_MAP_H_
#define URGE_RUNTIME_PREEMPT_MAP_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/preempt/module_text.h"

namespace urge::preempt {

// What is known about a pc, for reports.
struct TextDescription {
  TextKind kind = TextKind::kUnknown;
  std::string module;   // path, or the program's name; empty if unknown
  std::string symbol;   // demangled; empty if unknown
  uint64_t offset = 0;  // from the symbol, or from the module's base where there is no symbol
};

class PreemptionMap {
 public:
  // Signal-safe: yes. kUnknown before the first Rebuild.
  static TextKind Classify(uintptr_t pc);

  // All below: not on g0, not in a signal handler (they allocate and read files).

  // Reads the loaded modules anew. The first call also reads URGE_PREEMPTIBLE.
  // False without memory: the table in force is the one before, and Stale() stays as it was.
  static bool Rebuild() noexcept;
  // Has there been a Rebuild?
  static bool Published();
  // True if modules were loaded or unloaded since the last Rebuild. About 0.1 us.
  static bool Stale();

  // Allows a module, now and whenever it is loaded. True if such a module is loaded now.
  // Modules that must stay opaque (libc, libstdc++, the loader, urge) are refused: false.
  static bool AllowModule(std::string_view name);
  // Denies functions whose mangled or demangled name matches the glob (*, ?), in all modules, now
  // and later. True if any function matched so far.
  static bool DenySymbols(std::string_view pattern);

  static TextDescription Describe(uintptr_t pc);
  // Writes the policy as it would be built now, one line per module.
  static void Print(int fd);
};

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_MAP_H_

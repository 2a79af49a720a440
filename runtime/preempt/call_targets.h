// Where the calls of preemptible code lead, as far as its machine code alone does not tell.
//
// A call to another module goes through a word that the loader fills, often only at the first call:
// before that, the word does not say whom it stands for, and the name is in the module's file only.
// So when the map is built, the names of these words are looked up, off g0, and what matters of
// them is published for g0 to search:
//   at              value
//   a word (slot)   kYieldsThread, or the address of the function that it will be filled with
//   a function      kYieldsThread
// What is not in the table yields nothing that belongs to a thread: libraries that are always
// opaque are known by their names alone (policy.h, YieldsThreadByName).
//
// A name that is found nowhere counts as kYieldsThread: that is the safe side.

#ifndef URGE_RUNTIME_PREEMPT_CALL_TARGETS_H_
#define URGE_RUNTIME_PREEMPT_CALL_TARGETS_H_

#include <cstdint>
#include <vector>

#include "runtime/preempt/module_text.h"
#include "runtime/preempt/modules.h"

namespace urge::preempt {

struct CallTarget {
  static constexpr uintptr_t kYieldsThread = 1;

  uintptr_t at = 0;
  uintptr_t value = 0;

  auto operator<=>(const CallTarget&) const = default;
};

// What the table must say of a module. Requires: not on g0, not in a signal handler (allocates,
// file I/O, dlsym).
std::vector<CallTarget> FindCallTargets(const Module& module, const ModuleList& loaded,
                                        CallsOf calls);

// Requires: one caller at a time.
void PublishCallTargets(std::vector<CallTarget> targets);
// The value for `at`, or 0 if it has none. Signal-safe: yes.
uintptr_t LookUpCallTarget(uintptr_t at);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_CALL_TARGETS_H_

// What is what in one module's text: the policy applied to its sections and symbols.
//
// By role (policy.h):
//   main program   its executable sections but .plt*, .init, .fini and urge_text are preemptible,
//                  minus functions that are denied by name (below)
//   libm           likewise
//   libc           opaque, save the bounds (from the FDE) of its pure leaves, and of functions that
//                  hold nothing while they call back (policy.h)
//   other          opaque, unless the user allowed it: then as the main program
//
// Which functions of a program are denied
//  1. Names on the built-in list and the user's.
//  2. If the C++ runtime is linked statically: all std functions that are not weak. Weak ones are
//     templates and inlines, the same code that a program with a shared libstdc++ has in its own
//     text. (A std function that locks is an ordinary, strong one.)
//  3. Local functions next to a strong denied one by address: the linker puts a static library's
//     members side by side, and their local helpers can't be told by name. Beside functions that
//     users define in files of their own (malloc, operator new), only those with one on either
//     side. Also the parts (".cold") of such functions. Not those whose source file has others
//     between functions that are not denied: the user's last file lies beside the first library.
//  4. If libc itself is linked statically: everything but `main` and C++ functions outside std,
//     because libc.a has thousands of functions with ordinary names, and none in C++.
//
// A main program without a symbol table can't be sorted this way. If it exports an allocator or the
// C++ runtime, or its personality routine lies in its own text, or it has no dynamic symbols at all
// (fully static), it is opaque as a whole, and the caller warns.

#ifndef URGE_RUNTIME_PREEMPT_MODULE_TEXT_H_
#define URGE_RUNTIME_PREEMPT_MODULE_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/preempt/modules.h"
#include "runtime/preempt/policy.h"

namespace urge::preempt {

// What the text at a pc is. Only kPreemptible and kPure may be interrupted.
enum class TextKind : uint8_t {
  kPreemptible,
  kPure,       // likewise, and known to keep nothing of its thread (libm, memcpy): see policy.cc
  kCallsBack,  // opaque, but holds no lock while it calls back (qsort): may lie below
  kRuntime,    // urge itself
  kOpaque,     // a module that was not allowed
  kDenied,     // a function that was denied, in a module that is otherwise preemptible
  kUnknown,    // no known module: code loaded since the last rebuild, or generated
};
std::string_view NameOf(TextKind kind);
inline bool MayBeInterrupted(TextKind kind) {
  return kind == TextKind::kPreemptible || kind == TextKind::kPure;
}

struct KindRange {
  AddressRange range;
  TextKind kind;
};

// Of which calls of the module call_targets.h must know.
enum class CallsOf {
  kNobody,
  kNamed,  // functions known by name to yield something of the thread: others may look into it
  kAll,    // it is preemptible itself
};

struct ModuleText {
  // Later ranges override earlier ones.
  std::vector<KindRange> ranges;
  std::string_view reason;  // why the module is what it is (a literal)
  size_t denied_functions = 0;
  CallsOf calls = CallsOf::kNobody;
  bool stripped_warning = false;  // opaque only because it has no symbol table
};

// Requires: not on g0, not in a signal handler (allocates, file I/O, and dlsym for libc).
ModuleText AnalyzeModule(const Module& module, const RuleList& rules);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_MODULE_TEXT_H_

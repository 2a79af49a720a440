// Names of functions for people who read a trace.
//
// A goroutine's entry function is most often an instantiation for a closure, and what tells
// goroutines apart is the closure's type: "main::{lambda()#1}". Abseil's symbolizer leaves template
// arguments out; so these names are taken from the modules' symbol tables and demangled in full,
// which allocates. In a dying process such a goroutine has no name.

#ifndef URGE_RUNTIME_RECORDER_FUNCTION_NAMES_H_
#define URGE_RUNTIME_RECORDER_FUNCTION_NAMES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/recorder/pages.h"

namespace urge::recorder {

class FunctionNames {
 public:
  enum class Mode {
    kFull,
    kSignalSafe,  // no allocation
  };
  explicit FunctionNames(Mode mode);
  ~FunctionNames();

  // What the goroutine with this entry function does; empty if it isn't known. Valid until the
  // next call.
  std::string_view OfEntry(std::uintptr_t pc);
  // The function at `pc`, and its module behind an " in "; empty if neither is known. Valid until
  // the next call.
  std::string_view OfPlace(std::uintptr_t pc);

 private:
  struct Cached {
    std::uintptr_t pc;
    char name[120];
  };
  class SymbolTables;

  std::string_view Work(std::uintptr_t pc, char* name, std::size_t size);

  Pages<Cached> cache_;
  Cached overflow_{};
  char place_[512];
  std::unique_ptr<SymbolTables> tables_;  // null: signal-safe
};

// What a demangled `invoke_closure<...>` runs: the type of its closure, within the wrappers that
// urge's own templates add. Empty if it is no such name.
std::string_view ClosureOf(std::string_view demangled);

}  // namespace urge::recorder

#endif  // URGE_RUNTIME_RECORDER_FUNCTION_NAMES_H_

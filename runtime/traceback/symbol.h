// Names for code addresses, for tracebacks: function, and module with offset.
//
//  1. Functions are named by Abseil's symbolizer, which reads the ELF files' symbol tables with
//     read(2) into memory of its own and demangles in place. Names are short: parameters and
//     template arguments are left out.
//  2. Modules are found with _dl_find_object, which takes no lock (glibc 2.35).
//
// Files and lines are lines.h's: they need the debug information, whose decoders allocate. What is
// printed here is made for `addr2line -ifCe module offset`, which also names inlined functions.
//
// Signal-safe: yes. Abseil documents Symbolize so: its memory comes from an arena that blocks
// signals while it is locked, and a symbolizer in use (by the interrupted code, say) is not waited
// for but replaced by a new one.
//
// Rejected: dladdr (takes the loader's lock, and knows exported names only); backtrace_symbols
// (malloc); running addr2line (a dying process shouldn't fork).

#ifndef URGE_RUNTIME_TRACEBACK_SYMBOL_H_
#define URGE_RUNTIME_TRACEBACK_SYMBOL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace urge::traceback {

// Prepares for the functions below: they then open no file by a relative name and need no chdir'ed
// or renamed program's argv. Not signal-safe; once, at the start.
void InitSymbols();

// Longer names are cut.
inline constexpr std::size_t kSymbolNameBytes = 512;

// The name of the function that holds `pc` (not a return address: subtract one first), in
// `buffer`; empty if it isn't known.
std::string_view FunctionName(std::uintptr_t pc, char (&buffer)[kSymbolNameBytes]);

struct CodePlace {
  std::string_view module;    // path of the file; empty if pc is in no module
  std::uintptr_t offset = 0;  // of pc in it, as addr2line takes it
};
CodePlace PlaceOf(std::uintptr_t pc);

// Both, for who may allocate; empty where unknown. Of a module the last part of its path.
void NameCode(std::uintptr_t pc, std::string* module, std::string* symbol);

// Is it code of the runtime's own?
bool InRuntimeText(std::uintptr_t pc);

// Should a traceback for users leave this frame out? It does if the frame is the runtime's and
// not a function of the public API. `name` may be empty.
bool IsInternal(std::uintptr_t pc, std::string_view name);

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_SYMBOL_H_

// Files, lines and inlined calls for code addresses, from the debug information.
//
//  1. elfutils' libdw reads it. The library is loaded when the first address is asked for
//     (dlopen), so that who never prints a traceback doesn't pay for it, and who hasn't installed
//     it (Debian: libdw1) gets modules and offsets instead.
//  2. The modules are those of this process at that time; the list is read anew when one was loaded
//     or unloaded since.
//  3. One thread at a time: libdw is not thread-safe, nor is it small on the stack.
//
// Debug information apart from its module is found by build id below /usr/lib/debug, as for gdb.
// Nothing is fetched over the network, whatever DEBUGINFOD_URLS says.
//
// Signal-safe: no. Callers in handlers print offsets (frames.h, Places).
//
// Rejected: linking against libdw (five libraries more in every program); addr2line as a child (an
// exec for each module, and not installed everywhere); a reader of our own (DWARF 5 alone is 450
// pages).

#ifndef URGE_RUNTIME_TRACEBACK_LINES_H_
#define URGE_RUNTIME_TRACEBACK_LINES_H_

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace urge::traceback {

struct SourceFrame {
  std::string_view function;  // demangled as FunctionName does; may be empty
  std::string_view folder;    // that `file` is relative to; empty if it isn't
  std::string_view file;
  int line = 0;
  bool inlined = false;  // into the next one visited, which is its caller
};
using SourceFrameVisitor = void (*)(void* context, const SourceFrame& frame);

// Visits the function that holds `pc` and, before it, what was inlined into it there, innermost
// first. False, with no visit, if the debug information doesn't know the line.
bool VisitSourceFrames(std::uintptr_t pc, SourceFrameVisitor visitor, void* context);
template <class Visitor>
bool ForEachSourceFrame(std::uintptr_t pc, Visitor&& visitor) {
  return VisitSourceFrames(
      pc,
      [](void* context, const SourceFrame& frame) {
        (*static_cast<std::remove_reference_t<Visitor>*>(context))(frame);
      },
      &visitor);
}

// Code that a reader of tracebacks wants to hear nothing of: the standard library's, and what our
// headers put between the user's functions.
bool IsPlumbing(const SourceFrame& frame);

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_LINES_H_

#include "runtime/traceback/lines.h"

#include <dlfcn.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstdlib>
#include <initializer_list>
#include <new>
#include <string>
#include <vector>

#include "absl/base/const_init.h"
#include "absl/debugging/internal/demangle.h"
#include "absl/synchronization/mutex.h"
#include "runtime/preempt/modules.h"
#include "runtime/traceback/symbol.h"

#if __has_include(<elfutils/libdwfl.h>)
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#define URGE_HAVE_LIBDW 1
#endif

namespace urge::traceback {
namespace {

ABSL_CONST_INIT absl::Mutex g_mutex(absl::kConstInit);

#ifdef URGE_HAVE_LIBDW

// libdw's functions, by their names.
struct Libdw {
// clang-format off
#define URGE_LIBDW(X) \
  X(dwfl_begin) X(dwfl_end) X(dwfl_linux_proc_report) X(dwfl_report_end) X(dwfl_addrmodule) \
  X(dwfl_module_getsrc) X(dwfl_lineinfo) X(dwfl_line_comp_dir) X(dwfl_module_addrdie) \
  X(dwfl_linux_proc_find_elf) X(dwfl_build_id_find_debuginfo) X(dwarf_getscopes_die) \
  X(dwarf_tag) X(dwarf_attr_integrate) X(dwarf_formstring) X(dwarf_formudata) \
  X(dwarf_getsrcfiles) X(dwarf_filesrc) X(dwarf_attr) X(dwarf_diename) X(dwarf_child) \
  X(dwarf_siblingof) X(dwarf_haspc) X(dwarf_formref_die)
// clang-format on
#define URGE_DECLARE(name) decltype(&::name) name = nullptr;
  URGE_LIBDW(URGE_DECLARE)
#undef URGE_DECLARE

  bool Load() {
    // A program without a loader would need one for this.
    if (getauxval(AT_BASE) == 0) return false;
    void* library = dlopen("libdw.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (library == nullptr) return false;
    bool complete = true;
#define URGE_FIND(symbol)                                               \
  symbol = reinterpret_cast<decltype(symbol)>(dlsym(library, #symbol)); \
  complete = complete && symbol != nullptr;
    URGE_LIBDW(URGE_FIND)
#undef URGE_FIND
    return complete;
  }
};

Libdw g_dw ABSL_GUARDED_BY(g_mutex);
enum class State { kNew, kMissing, kLoaded } g_state ABSL_GUARDED_BY(g_mutex) = State::kNew;
Dwfl* g_dwfl ABSL_GUARDED_BY(g_mutex) = nullptr;
std::uint64_t g_load_count ABSL_GUARDED_BY(g_mutex) = 0;

// The modules of this process as they are now; null if they can't be had.
Dwfl* ModulesLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  if (g_state == State::kNew) g_state = g_dw.Load() ? State::kLoaded : State::kMissing;
  if (g_state == State::kMissing) return nullptr;
  const std::uint64_t load_count = preempt::LoadCount();
  if (g_dwfl != nullptr && load_count == g_load_count) return g_dwfl;
  if (g_dwfl != nullptr) g_dw.dwfl_end(g_dwfl);
  static Dwfl_Callbacks callbacks{};
  callbacks.find_elf = g_dw.dwfl_linux_proc_find_elf;
  callbacks.find_debuginfo = g_dw.dwfl_build_id_find_debuginfo;
  g_dwfl = g_dw.dwfl_begin(&callbacks);
  g_load_count = load_count;
  if (g_dwfl == nullptr) return nullptr;
  if (g_dw.dwfl_linux_proc_report(g_dwfl, getpid()) != 0 ||
      g_dw.dwfl_report_end(g_dwfl, nullptr, nullptr) != 0) {
    g_dw.dwfl_end(g_dwfl);
    g_dwfl = nullptr;
  }
  return g_dwfl;
}

// The entry that an inlined call, or a definition, refers to for its name and its place.
bool FollowLocked(Dwarf_Die* die, unsigned attribute) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  Dwarf_Attribute value;
  Dwarf_Die target;
  if (g_dw.dwarf_attr(die, attribute, &value) == nullptr ||
      g_dw.dwarf_formref_die(&value, &target) == nullptr) {
    return false;
  }
  *die = target;
  return true;
}

// Demangled as FunctionName does. A function about local types has no linkage name: it is put
// together from the entries that it is nested in.
std::string NameOfLocked(Dwarf_Die* die) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  for (const unsigned attribute : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    Dwarf_Attribute value;
    char buffer[kSymbolNameBytes];
    if (g_dw.dwarf_attr_integrate(die, attribute, &value) == nullptr) continue;
    const char* mangled = g_dw.dwarf_formstring(&value);
    if (mangled != nullptr && absl::debugging_internal::Demangle(mangled, buffer, sizeof(buffer))) {
      return buffer;
    }
  }
  Dwarf_Die declared = *die;
  FollowLocked(&declared, DW_AT_abstract_origin);
  FollowLocked(&declared, DW_AT_specification);
  Dwarf_Die* nested = nullptr;
  const int depth = g_dw.dwarf_getscopes_die(&declared, &nested);
  std::string name;
  for (int i = 0; i < depth; ++i) {
    const int tag = g_dw.dwarf_tag(&nested[i]);
    if (tag == DW_TAG_compile_unit || tag == DW_TAG_lexical_block) continue;
    const char* part = g_dw.dwarf_diename(&nested[i]);
    if (i != 0) name.insert(0, "::");
    name.insert(0, part != nullptr           ? part
                   : tag == DW_TAG_namespace ? "(anonymous namespace)"
                                             : "{lambda}");
  }
  std::free(nested);
  // In C, a name is all there is.
  if (!name.empty() && name.find("::") != name.npos) name += "()";
  return name;
}

std::uint64_t NumberLocked(Dwarf_Die* die, unsigned attribute)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  Dwarf_Attribute value;
  Dwarf_Word number = 0;
  if (g_dw.dwarf_attr(die, attribute, &value) == nullptr) return 0;
  return g_dw.dwarf_formudata(&value, &number) == 0 ? number : 0;
}

// The function below `parent` that holds `pc`. Most lie below the unit and its namespaces; those of
// local classes (lambdas) may lie anywhere, which is why dwarf_getscopes doesn't find them.
bool FindFunctionLocked(Dwarf_Die* parent, Dwarf_Addr pc, bool anywhere, Dwarf_Die* found)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  Dwarf_Die child;
  if (g_dw.dwarf_child(parent, &child) != 0) return false;
  do {
    const int tag = g_dw.dwarf_tag(&child);
    if (tag == DW_TAG_subprogram && g_dw.dwarf_haspc(&child, pc) > 0) {
      *found = child;
      return true;
    }
    const bool holds_functions =
        tag == DW_TAG_namespace ||
        (anywhere &&
         (tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type ||
          tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block));
    if (holds_functions && FindFunctionLocked(&child, pc, anywhere, found)) return true;
  } while (g_dw.dwarf_siblingof(&child, &child) == 0);
  return false;
}

// The entry of a call that was inlined into `parent` around `pc`, or of a block.
bool DescendLocked(Dwarf_Die* parent, Dwarf_Addr pc) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  Dwarf_Die child;
  if (g_dw.dwarf_child(parent, &child) != 0) return false;
  do {
    const int tag = g_dw.dwarf_tag(&child);
    if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
         tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
        g_dw.dwarf_haspc(&child, pc) > 0) {
      *parent = child;
      return true;
    }
  } while (g_dw.dwarf_siblingof(&child, &child) == 0);
  return false;
}

// Visits the inlined calls that `pc` lies in. On return the file and line are those of the place in
// the function proper, whose name is set.
void VisitInlinedLocked(Dwarf_Die* unit, Dwarf_Addr pc, const char* folder, SourceFrame* place,
                        std::string* function, SourceFrameVisitor visitor, void* context)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  Dwarf_Die die;
  if (!FindFunctionLocked(unit, pc, false, &die) && !FindFunctionLocked(unit, pc, true, &die)) {
    return;
  }
  *function = NameOfLocked(&die);
  std::vector<Dwarf_Die> inlined;  // outermost first
  while (DescendLocked(&die, pc)) {
    if (g_dw.dwarf_tag(&die) == DW_TAG_inlined_subroutine) inlined.push_back(die);
  }
  Dwarf_Files* files = nullptr;
  std::size_t file_count = 0;
  if (g_dw.dwarf_getsrcfiles(unit, &files, &file_count) != 0) files = nullptr;
  for (auto call = inlined.rbegin(); call != inlined.rend(); ++call) {
    const std::string name = NameOfLocked(&*call);
    place->function = name;
    place->inlined = true;
    visitor(context, *place);
    const std::uint64_t file = NumberLocked(&*call, DW_AT_call_file);
    const char* path = files != nullptr && file < file_count
                           ? g_dw.dwarf_filesrc(files, file, nullptr, nullptr)
                           : nullptr;
    place->file = path == nullptr ? "?" : path;
    place->folder = place->file[0] == '/' || folder == nullptr ? "" : folder;
    place->line = static_cast<int>(NumberLocked(&*call, DW_AT_call_line));
  }
}

#endif  // URGE_HAVE_LIBDW

}  // namespace

bool VisitSourceFrames([[maybe_unused]] std::uintptr_t pc,
                       [[maybe_unused]] SourceFrameVisitor visitor,
                       [[maybe_unused]] void* context) {
#ifdef URGE_HAVE_LIBDW
  absl::MutexLock lock(&g_mutex);
  Dwfl* dwfl = ModulesLocked();
  Dwfl_Module* module = dwfl == nullptr ? nullptr : g_dw.dwfl_addrmodule(dwfl, pc);
  Dwfl_Line* line = module == nullptr ? nullptr : g_dw.dwfl_module_getsrc(module, pc);
  if (line == nullptr) return false;
  SourceFrame place;
  const char* file = g_dw.dwfl_lineinfo(line, nullptr, &place.line, nullptr, nullptr, nullptr);
  if (file == nullptr) return false;
  const char* folder = g_dw.dwfl_line_comp_dir(line);
  place.folder = file[0] == '/' || folder == nullptr ? "" : folder;
  place.file = file;
  char buffer[kSymbolNameBytes];
  std::string function;
  Dwarf_Addr bias = 0;
  if (Dwarf_Die* unit = g_dw.dwfl_module_addrdie(module, pc, &bias)) {
    try {
      VisitInlinedLocked(unit, pc - bias, folder, &place, &function, visitor, context);
    } catch (const std::bad_alloc&) {
      // A report of a death where memory has run out does without inlined calls.
    }
  }
  // Symbols know of clones and parts, and are not always there.
  place.function = FunctionName(pc, buffer);
  if (place.function.empty()) place.function = function;
  place.inlined = false;
  visitor(context, place);
  return true;
#else
  return false;
#endif
}

bool IsPlumbing(const SourceFrame& frame) {
  for (const std::string_view prefix :
       {"std::", "__gnu_cxx::", "urge::detail::", "urge::go<", "urge::go()", "urge::run<",
        "urge::run()", "urge::async<", "urge::async()", "urge::wait_group::go"}) {
    if (frame.function.starts_with(prefix)) return true;
  }
  // Functions about local types have no full name.
  if (frame.function.starts_with("urge::")) return false;
  return frame.file.find("/c++/") != frame.file.npos ||
         frame.file.find("/include/urge/") != frame.file.npos;
}

}  // namespace urge::traceback

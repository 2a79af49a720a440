// Applies the policy to one module; see module_text.h.

#include "runtime/preempt/module_text.h"

#include <dlfcn.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>

#include "runtime/preempt/cfi.h"
#include "runtime/preempt/code_scan.h"
#include "runtime/preempt/elf_file.h"

namespace urge::preempt {
namespace {

constexpr std::string_view kRuntimeSection = "urge_text";

bool IsPlainText(const Section& section) {
  return section.executable && !section.name.starts_with(".plt") &&
         !section.name.starts_with(".iplt") && section.name != ".init" && section.name != ".fini" &&
         section.name != kRuntimeSection;
}

// The functions of a module, sorted by address, and which of them are denied.
class FunctionSorter {
 public:
  FunctionSorter(std::vector<FunctionSymbol> functions, const std::vector<Section>& sections,
                 const RuleList& rules)
      : functions_(std::move(functions)), rules_(rules) {
    // The runtime's own are painted as such, and are nobody's neighbours: beside __morestack, which
    // is denied by name where it isn't ours, lies the user's code.
    for (const Section& section : sections) {
      if (section.name != kRuntimeSection) continue;
      std::erase_if(functions_, [&](const FunctionSymbol& function) {
        return section.range.Contains(function.range.begin);
      });
    }
    std::stable_sort(functions_.begin(), functions_.end(),
                     [](const auto& a, const auto& b) { return a.range.begin < b.range.begin; });
    FillSizes(sections);
    static_libc_ = Defines({"__libc_start_main", "__libc_setup_tls"});
    static_cxx_ = Defines({"__cxa_throw", "__cxa_begin_catch", "_ZSt9terminatev"});
  }

  bool static_libc() const { return static_libc_; }

  // The ranges to deny, in the module's file addresses.
  std::vector<AddressRange> Denied() {
    std::vector<bool> denied(functions_.size());
    for (size_t i = 0; i < functions_.size(); ++i) denied[i] = IsDeniedByName(functions_[i]);
    DenyNeighbours(&denied);
    std::vector<AddressRange> ranges;
    const bool user_denials = rules_.HasDenials();
    for (size_t i = 0; i < functions_.size(); ++i) {
      if (denied[i] || (user_denials && rules_.Denies(functions_[i].name))) {
        ranges.push_back(functions_[i].range);
      }
    }
    return ranges;
  }

  // For a program with a static libc: the functions that are certainly the user's.
  std::vector<AddressRange> CertainlyUsers() const {
    std::vector<AddressRange> ranges;
    for (const FunctionSymbol& function : functions_) {
      if (function.name == "main" ||
          (function.name.starts_with("_Z") && !IsStandardLibraryName(function.name))) {
        ranges.push_back(function.range);
      }
    }
    return ranges;
  }

 private:
  bool Defines(std::initializer_list<std::string_view> names) const {
    return std::any_of(functions_.begin(), functions_.end(), [&](const FunctionSymbol& function) {
      return !function.local && std::count(names.begin(), names.end(), function.name) > 0;
    });
  }

  bool IsDeniedByName(const FunctionSymbol& function) const {
    if (IsDeniedByDefault(function.name)) return true;
    return static_cxx_ && !function.weak && IsStandardLibraryName(function.name);
  }

  // Functions in assembly may have no size: they extend to the next symbol or the section's end.
  void FillSizes(const std::vector<Section>& sections) {
    for (size_t i = 0; i < functions_.size(); ++i) {
      AddressRange& range = functions_[i].range;
      if (range.begin != range.end) continue;
      for (const Section& section : sections) {
        if (section.range.Contains(range.begin)) range.end = section.range.end;
      }
      for (size_t next = i + 1; next < functions_.size(); ++next) {
        if (functions_[next].range.begin > range.begin) {
          range.end = std::min(range.end, functions_[next].range.begin);
          break;
        }
      }
    }
  }

  // Rule 3 of module_text.h.
  void DenyNeighbours(std::vector<bool>* denied) const {
    std::unordered_set<std::string_view> helpers;
    std::unordered_set<uint32_t> users_files;
    const auto is_strong = [this](size_t i) { return !functions_[i].local && !functions_[i].weak; };
    // How surely a strong function's neighbours are of its library: 2, or 1 if users define such
    // functions in their own files (operator new), or 0.
    const auto kinship = [&](size_t i) {
      if (i >= functions_.size() || !(*denied)[i]) return 0;
      // From libc_nonshared.a, which every program gets it from, behind the user's last file.
      if (functions_[i].name == "__pthread_atfork" && !static_libc_) return 0;
      return IsReplaceable(functions_[i].name) ? 1 : 2;
    };
    // Calls run(first, end, kinship of the strong ones on both sides) for each run of functions
    // from a local one to the next strong one.
    const auto for_each_run = [&](auto&& run) {
      int below = 0;
      for (size_t i = 0; i < functions_.size();) {
        if (!functions_[i].local) {
          if (is_strong(i)) below = kinship(i);
          ++i;
          continue;
        }
        size_t next = i;
        while (next < functions_.size() && !is_strong(next)) ++next;
        run(i, next, below + kinship(next));
        i = next;
      }
    };
    for_each_run([&](size_t first, size_t end, int sum) {
      for (size_t i = first; i < end && sum == 0; ++i) users_files.insert(functions_[i].file);
    });
    users_files.erase(0);
    for_each_run([&](size_t first, size_t end, int sum) {
      for (size_t i = first; i < end && sum >= 2; ++i) {
        const std::string_view name = functions_[i].name;
        if (!functions_[i].local || users_files.count(functions_[i].file) > 0) continue;
        if (name.find('.', 1) != std::string_view::npos)
          continue;  // a part: by its own name, below
        (*denied)[i] = true;
        helpers.insert(name);
      }
    });
    for (size_t i = 0; i < functions_.size(); ++i) {
      const std::string_view name = WithoutCloneSuffix(functions_[i].name);
      if (functions_[i].local && helpers.count(name) > 0) (*denied)[i] = true;
    }
  }

  std::vector<FunctionSymbol> functions_;
  const RuleList& rules_;
  bool static_libc_ = false;
  bool static_cxx_ = false;
};

class Analysis {
 public:
  explicit Analysis(const Module& module) : module_(module) {
    for (size_t i = 0; i < module.text_count; ++i) Paint(module.text[i], TextKind::kOpaque);
  }

  ModuleText Whole(TextKind kind, std::string_view reason) {
    for (size_t i = 0; i < module_.text_count; ++i) Paint(module_.text[i], kind);
    return Finish(reason);
  }

  void MayBeLookedInto() { text_.calls = CallsOf::kNamed; }

  // `reason` says why the module may be preempted at all.
  ModuleText BySymbols(const RuleList& rules, std::string_view reason,
                       TextKind kind = TextKind::kPreemptible) {
    const std::optional<ElfFile> file = ElfFile::Open(module_);
    if (!file) return Finish("opaque: its file can't be read or has changed");
    if (file->sections().empty()) return Finish("opaque: it has no section headers");
    if (kind == TextKind::kPreemptible) text_.calls = CallsOf::kAll;
    if (!file->HasTable(SymbolTable::kFull) && module_.main_program && MayHideLibraries(*file)) {
      text_.stripped_warning = true;
      PaintRuntime(*file);
      return Finish("opaque: statically linked libraries, but no symbol table");
    }
    const SymbolTable table =
        file->HasTable(SymbolTable::kFull) ? SymbolTable::kFull : SymbolTable::kDynamic;
    FunctionSorter sorter(file->Functions(table), file->sections(), rules);
    if (sorter.static_libc()) {
      for (const AddressRange& range : sorter.CertainlyUsers()) {
        PaintFile(range, TextKind::kPreemptible);
      }
      reason = "preemptible: C++ functions of a program with a static libc";
    } else {
      for (const Section& section : file->sections()) {
        if (IsPlainText(section)) PaintFile(section.range, kind);
      }
    }
    for (const AddressRange& range : sorter.Denied()) {
      PaintFile(range, TextKind::kDenied);
      ++text_.denied_functions;
    }
    PaintRuntime(*file);
    return Finish(reason);
  }

  // operator new and delete call malloc and free, which stop whoever is asked to as they end.
  ModuleText OpaqueButForOperators() {
    if (const std::optional<ElfFile> file = ElfFile::Open(module_)) {
      for (const FunctionSymbol& function : file->Functions(SymbolTable::kDynamic)) {
        if (IsAllocatingOperator(function.name)) PaintFile(function.range, TextKind::kCallsBack);
      }
    }
    return Finish("opaque: always");
  }

  ModuleText LibcLeaves() {
    // RTLD_NOLOAD: only a handle; libc can't be unloaded, so it is never given back.
    void* libc = dlopen(std::string(module_.path).c_str(), RTLD_LAZY | RTLD_NOLOAD);
    for (const char* const* name = kPureLibcFunctions; libc != nullptr && *name != nullptr;
         ++name) {
      // dlsym follows an ifunc to the variant that this processor runs.
      const uintptr_t address = reinterpret_cast<uintptr_t>(dlsym(libc, *name));
      FunctionBounds bounds;
      if (module_.Contains(address) && BoundsOf(address, &bounds) && bounds.begin == address) {
        Paint({bounds.begin, bounds.end}, TextKind::kPure);
      }
    }
    for (const char* const* name = kCallingBackLibcFunctions; libc != nullptr && *name != nullptr;
         ++name) {
      const uintptr_t address = reinterpret_cast<uintptr_t>(dlsym(libc, *name));
      FunctionBounds bounds;
      if (module_.Contains(address) && BoundsOf(address, &bounds)) PaintCallingBack(bounds);
    }
    return Finish("opaque, save pure leaves");
  }

 private:
  // A function that calls back, and the helpers that do it for it (qsort's recursion has no name):
  // those it calls that call through a pointer, as few others do.
  void PaintCallingBack(const FunctionBounds& function) {
    Paint({function.begin, function.end}, TextKind::kCallsBack);
    CodeScanner scanner(function.begin, function.end);
    for (CodeFact fact; scanner.Next(&fact);) {
      FunctionBounds helper;
      if ((fact.event == CodeEvent::kCall || fact.event == CodeEvent::kJumpOut) &&
          module_.Contains(fact.target) && BoundsOf(fact.target, &helper) &&
          helper.begin == fact.target && CallsThroughPointer(helper)) {
        Paint({helper.begin, helper.end}, TextKind::kCallsBack);
      }
    }
  }
  static bool CallsThroughPointer(const FunctionBounds& function) {
    CodeScanner scanner(function.begin, function.end);
    for (CodeFact fact; scanner.Next(&fact);) {
      if (fact.event == CodeEvent::kCallPointer) return true;
    }
    return false;
  }

  void Paint(AddressRange range, TextKind kind) {
    if (range.begin < range.end) text_.ranges.push_back({range, kind});
  }
  void PaintFile(AddressRange range, TextKind kind) {
    Paint({range.begin + module_.base, range.end + module_.base}, kind);
  }
  void PaintRuntime(const ElfFile& file) {
    for (const Section& section : file.sections()) {
      if (section.name == kRuntimeSection) PaintFile(section.range, TextKind::kRuntime);
    }
  }

  static bool IsRuntimes(const ElfFile& file, const FunctionSymbol& function) {
    return std::any_of(file.sections().begin(), file.sections().end(), [&](const Section& section) {
      return section.name == kRuntimeSection && section.range.Contains(function.range.begin);
    });
  }

  bool MayHideLibraries(const ElfFile& file) const {
    if (!file.HasTable(SymbolTable::kDynamic)) return true;
    for (const FunctionSymbol& function : file.Functions(SymbolTable::kDynamic)) {
      if (IsDeniedByDefault(function.name) && !IsRuntimes(file, function)) return true;
    }
    for (size_t i = 0; i < module_.text_count; ++i) {
      const AddressRange& text = module_.text[i];
      if (HasPersonalityWithin(module_.eh_frame_hdr, text.begin, text.end)) return true;
    }
    return false;
  }

  ModuleText Finish(std::string_view reason) {
    text_.reason = reason;
    return std::move(text_);
  }

  const Module& module_;
  ModuleText text_;
};

}  // namespace

std::string_view NameOf(TextKind kind) {
  switch (kind) {
    case TextKind::kPreemptible:
      return "preemptible";
    case TextKind::kPure:
      return "pure";
    case TextKind::kCallsBack:
      return "calls back";
    case TextKind::kRuntime:
      return "runtime";
    case TextKind::kOpaque:
      return "opaque";
    case TextKind::kDenied:
      return "denied";
    case TextKind::kUnknown:
      break;
  }
  return "unknown";
}

ModuleText AnalyzeModule(const Module& module, const RuleList& rules) {
  Analysis analysis(module);
  switch (RoleOf(module)) {
    case ModuleRole::kMainProgram:
      return analysis.BySymbols(rules, "preemptible: the main program");
    case ModuleRole::kRuntime:
      return analysis.Whole(TextKind::kRuntime, "runtime: urge itself");
    case ModuleRole::kPure:
      return analysis.BySymbols(rules, "preemptible: pure", TextKind::kPure);
    case ModuleRole::kLibc:
      return analysis.LibcLeaves();
    case ModuleRole::kAlwaysOpaque:
      return analysis.OpaqueButForOperators();
    case ModuleRole::kOther:
      break;
  }
  if (rules.Allows(module)) return analysis.BySymbols(rules, "preemptible: allowed by the user");
  analysis.MayBeLookedInto();
  return analysis.Whole(TextKind::kOpaque, "opaque: not allowed");
}

}  // namespace urge::preempt

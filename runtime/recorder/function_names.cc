#include "runtime/recorder/function_names.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <list>
#include <vector>

#include "runtime/preempt/elf_file.h"
#include "runtime/preempt/modules.h"
#include "runtime/traceback/symbol.h"

namespace urge::recorder {
namespace {

constexpr std::size_t kCacheSlots = 4096;  // a power of two
constexpr std::string_view kInvoke = "urge::detail::invoke_closure<";

// Templates of urge's headers around a user's callable, and which argument that is.
struct Wrapper {
  std::string_view name;
  int argument;
};
constexpr Wrapper kWrappers[] = {
    {"urge::detail::bound_call<", 0},
    {"urge::detail::async_call<", 1},
    {"urge::detail::spawn<", 0},
    {"urge::wait_group::go<", 0},
    {"urge::wait_group::counted_call<", 0},
    {"urge::go<", 0},
    {"urge::async<", 0},
};

// The first argument of a template argument list; `text` begins behind its "<".
std::string_view FirstArgument(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    // "->" and "operator>" don't occur in the names of closures' types.
    if (c == '<' || c == '(' || c == '{' || c == '[') ++depth;
    if (depth == 0 && (c == ',' || c == '>')) return text.substr(0, i);
    if (c == '>' || c == ')' || c == '}' || c == ']') --depth;
  }
  return text;
}

std::size_t Copy(std::string_view text, char* to, std::size_t size) {
  const std::size_t n = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), n);
  to[n] = 0;
  return n;
}

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string_view WithoutParentheses(std::string_view name) {
  if (name.ends_with("()")) name.remove_suffix(2);
  return name;
}

}  // namespace

std::string_view ClosureOf(std::string_view demangled) {
  const std::size_t at = demangled.find(kInvoke);
  if (at == demangled.npos) return {};
  std::string_view closure = FirstArgument(demangled.substr(at + kInvoke.size()));
  for (bool wrapped = true; wrapped;) {
    wrapped = false;
    for (const Wrapper& wrapper : kWrappers) {
      if (!closure.starts_with(wrapper.name)) continue;
      std::string_view arguments = closure.substr(wrapper.name.size());
      for (int i = 0; i < wrapper.argument; ++i) {
        arguments.remove_prefix(std::min(FirstArgument(arguments).size() + 2, arguments.size()));
      }
      closure = FirstArgument(arguments);
      if (closure.ends_with(' ')) closure.remove_suffix(1);  // "> >"
      wrapped = true;
    }
  }
  return closure;
}

// Functions of the modules that were asked for, by address.
class FunctionNames::SymbolTables {
 public:
  SymbolTables() : modules_(preempt::ModuleList::Snapshot()) {}

  std::string_view MangledAt(std::uintptr_t pc) {
    const preempt::Module* module = modules_.Find(pc);
    if (module == nullptr) return {};
    const Table& table = TableOf(*module);
    const std::uintptr_t at = pc - module->base;
    auto found = std::upper_bound(
        table.functions.begin(), table.functions.end(), at,
        [](std::uintptr_t a, const preempt::FunctionSymbol& f) { return a < f.range.begin; });
    if (found == table.functions.begin() || !(--found)->range.Contains(at)) return {};
    return found->name;
  }

 private:
  struct Table {
    const preempt::Module* module;
    std::optional<preempt::ElfFile> file;  // holds the names
    std::vector<preempt::FunctionSymbol> functions;
  };

  const Table& TableOf(const preempt::Module& module) {
    for (const Table& table : tables_) {
      if (table.module == &module) return table;
    }
    Table& table = tables_.emplace_back(Table{&module, preempt::ElfFile::Open(module), {}});
    if (!table.file.has_value()) return table;
    const auto kind = table.file->HasTable(preempt::SymbolTable::kFull)
                          ? preempt::SymbolTable::kFull
                          : preempt::SymbolTable::kDynamic;
    table.functions = table.file->Functions(kind);
    std::sort(table.functions.begin(), table.functions.end(),
              [](const auto& x, const auto& y) { return x.range.begin < y.range.begin; });
    return table;
  }

  preempt::ModuleList modules_;
  std::list<Table> tables_;
};

FunctionNames::FunctionNames(Mode mode)
    : cache_(kCacheSlots),
      tables_(mode == Mode::kFull ? std::make_unique<SymbolTables>() : nullptr) {}

FunctionNames::~FunctionNames() = default;

std::string_view FunctionNames::Work(std::uintptr_t pc, char* name, std::size_t size) {
  char buffer[traceback::kSymbolNameBytes];
  const std::string_view simple = traceback::FunctionName(pc, buffer);
  if (simple.find("invoke_closure<") == simple.npos) {
    return {name, Copy(WithoutParentheses(simple), name, size)};
  }
  if (tables_ == nullptr) return {};
  const std::string mangled(tables_->MangledAt(pc));
  char* demangled = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, nullptr);
  if (demangled == nullptr) return {};
  const std::size_t n = Copy(ClosureOf(demangled), name, size);
  std::free(demangled);
  return {name, n};
}

std::string_view FunctionNames::OfEntry(std::uintptr_t pc) {
  if (pc == 0) return {};
  Cached* slot = &overflow_;
  if (!cache_.empty()) {
    // Two places for each; a third function there is looked up each time.
    const std::size_t at = pc * 0x9e3779b97f4a7c15u >> 40;
    for (std::size_t i = 0; i < 2; ++i) {
      Cached& candidate = cache_[(at + i) & (kCacheSlots - 1)];
      if (candidate.pc == pc)
        return {candidate.name, strnlen(candidate.name, sizeof(candidate.name))};
      if (candidate.pc == 0) {
        slot = &candidate;
        break;
      }
    }
  }
  const std::string_view name = Work(pc, slot->name, sizeof(slot->name));
  slot->name[name.size()] = 0;
  slot->pc = pc;
  return {slot->name, name.size()};
}

std::string_view FunctionNames::OfPlace(std::uintptr_t pc) {
  if (pc == 0) return {};
  char buffer[traceback::kSymbolNameBytes];
  const std::string_view name = WithoutParentheses(traceback::FunctionName(pc, buffer));
  const std::string_view module = BaseName(traceback::PlaceOf(pc).module);
  std::size_t n = Copy(name, place_, sizeof(place_));
  if (!name.empty() && !module.empty()) n += Copy(" in ", place_ + n, sizeof(place_) - n);
  n += Copy(module, place_ + n, sizeof(place_) - n);
  return {place_, n};
}

}  // namespace urge::recorder

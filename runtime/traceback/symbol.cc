#include "runtime/traceback/symbol.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <climits>
#include <utility>

#include "absl/base/const_init.h"
#include "absl/container/flat_hash_map.h"
#include "absl/debugging/symbolize.h"
#include "absl/synchronization/mutex.h"
#include "runtime/preempt/cfi.h"

// The bounds of the runtime's text (scripts/runtime.ld). Weak: a unit test may link parts of it.
extern "C" {
[[gnu::weak, gnu::visibility("hidden")]] extern const char __start_urge_text[];
[[gnu::weak, gnu::visibility("hidden")]] extern const char __stop_urge_text[];
}

namespace urge::traceback {
namespace {

constexpr std::string_view kSelf = "/proc/self/exe";
char g_program[PATH_MAX] = "/proc/self/exe";  // [c]
std::size_t g_program_length = kSelf.size();  // [c]

// Namespaces below urge that no user calls into by name.
constexpr std::string_view kInternalPrefixes[] = {
    "urge::base::",      "urge::trace::",
    "urge::sched::",     "urge::preempt::",
    "urge::sysmon::",    "urge::detail::",
    "urge::traceback::", "urge::interpose::",
    "urge::recorder::",  "urge::(anonymous namespace)::",
};

}  // namespace

void InitSymbols() {
  const ssize_t length = readlink(kSelf.data(), g_program, sizeof(g_program) - 1);
  if (length > 0) {
    g_program[length] = 0;
    g_program_length = static_cast<std::size_t>(length);
  }
  absl::InitializeSymbolizer(kSelf.data());
}

std::string_view FunctionName(std::uintptr_t pc, char (&buffer)[kSymbolNameBytes]) {
  if (!absl::Symbolize(reinterpret_cast<const void*>(pc), buffer, sizeof(buffer))) return {};
  return buffer;
}

CodePlace PlaceOf(std::uintptr_t pc) {
  dl_find_object found;
  if (_dl_find_object(reinterpret_cast<void*>(pc), &found) != 0) return {};
  const link_map* map = found.dlfo_link_map;
  if (map == nullptr) return {};
  std::string_view name = map->l_name == nullptr ? std::string_view() : map->l_name;
  if (name.empty()) name = {g_program, g_program_length};
  return {name, pc - map->l_addr};
}

void NameCode(std::uintptr_t pc, std::string* module, std::string* symbol) {
  struct Names {
    std::string module, symbol;
  };
  struct Known {
    std::uint32_t generation = 0;
    absl::flat_hash_map<std::uintptr_t, Names> names;
  };
  ABSL_CONST_INIT static absl::Mutex mutex(absl::kConstInit);
  static auto* const known = new Known;
  absl::MutexLock lock(&mutex);
  const std::uint32_t generation = preempt::CodeGeneration();
  if (std::exchange(known->generation, generation) != generation) known->names.clear();
  const auto [at, is_new] = known->names.try_emplace(pc);
  if (is_new) {
    const std::string_view path = PlaceOf(pc).module;
    char buffer[kSymbolNameBytes];
    at->second.module = path.substr(path.rfind('/') + 1);
    at->second.symbol = FunctionName(pc, buffer);
  }
  *module = at->second.module;
  *symbol = at->second.symbol;
}

bool InRuntimeText(std::uintptr_t pc) {
  return pc >= reinterpret_cast<std::uintptr_t>(__start_urge_text) &&
         pc < reinterpret_cast<std::uintptr_t>(__stop_urge_text);
}

bool IsInternal(std::uintptr_t pc, std::string_view name) {
  // The prologue hook has a copy in each instrumented module.
  if (name == "__morestack") return true;
  if (!InRuntimeText(pc)) return false;
  // Whatever else is in there (assembly, copies of inline functions of the standard library) is
  // no function that a user called.
  if (!name.starts_with("urge::")) return true;
  for (std::string_view prefix : kInternalPrefixes) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace urge::traceback

#include "runtime/preempt/call_targets.h"

#include <dlfcn.h>

#include <algorithm>
#include <optional>
#include <string>

#include "runtime/preempt/dl.h"
#include "runtime/preempt/elf_file.h"
#include "runtime/preempt/policy.h"
#include "runtime/preempt/published_words.h"

namespace urge::preempt {
namespace {

constinit PublishedWords call_targets;

// A name as the code of one module means it.
class Scope {
 public:
  explicit Scope(const Module& module) {
    if (module.main_program) return;
    // The module and what it needs, which stays loaded as long as the module: so the table never
    // names a function that may go before its caller. (Who else may define a name, from
    // LD_PRELOAD or the program, is of no interest here: it does what the library's own does.)
    handle_ = dlopen(std::string(module.path).c_str(), RTLD_LAZY | RTLD_NOLOAD);
    found_ = handle_ != nullptr;
  }
  ~Scope() {
    if (handle_ != nullptr) CloseHandle(handle_);
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  uintptr_t Find(std::string_view name) const {
    if (!found_) return 0;
    return reinterpret_cast<uintptr_t>(dlsym(handle_, std::string(name).c_str()));
  }

 private:
  static_assert(RTLD_DEFAULT == nullptr);
  void* handle_ = nullptr;
  bool found_ = true;
};

// What a slot's target means, 0 for nothing. The runtime's own functions leave nothing of the
// thread with their callers, and libraries that are always opaque are known by name.
uintptr_t ValueOf(uintptr_t target, const ModuleList& loaded) {
  if (target == 0) return CallTarget::kYieldsThread;
  const Module* module = loaded.Find(target);
  if (module == nullptr) return 0;  // data
  const ModuleRole role = RoleOf(*module);
  return role == ModuleRole::kMainProgram || role == ModuleRole::kOther ? target : 0;
}

}  // namespace

std::vector<CallTarget> FindCallTargets(const Module& module, const ModuleList& loaded,
                                        CallsOf calls) {
  std::vector<CallTarget> targets;
  const std::optional<ElfFile> file = ElfFile::Open(module);
  if (!file) return targets;
  std::optional<Scope> scope;
  if (calls == CallsOf::kAll) scope.emplace(module);
  for (const FunctionSlot& slot : file->Slots()) {
    uintptr_t value = 0;
    if (YieldsThreadByName(slot.name)) {
      value = CallTarget::kYieldsThread;
    } else if (scope) {
      value = ValueOf(scope->Find(slot.name), loaded);
    }
    if (value != 0) targets.push_back({module.base + slot.at, value});
  }
  if (calls != CallsOf::kAll) return targets;
  // The system's functions that are linked into the module.
  const SymbolTable table =
      file->HasTable(SymbolTable::kFull) ? SymbolTable::kFull : SymbolTable::kDynamic;
  for (const FunctionSymbol& function : file->Functions(table)) {
    if (YieldsThreadByName(function.name)) {
      targets.push_back({module.base + function.range.begin, CallTarget::kYieldsThread});
    }
  }
  return targets;
}

void PublishCallTargets(std::vector<CallTarget> targets) {
  std::sort(targets.begin(), targets.end());
  std::vector<uint64_t> words;
  words.reserve(targets.size() * 2);
  for (const CallTarget& target : targets) {
    words.push_back(target.at);
    words.push_back(target.value);
  }
  call_targets.Publish(words);
}

uintptr_t LookUpCallTarget(uintptr_t at) {
  uint64_t value = 0;
  const bool whole = call_targets.Read([&](PublishedWords::View words) {
    value = 0;
    size_t below = 0;
    size_t above = words.size() / 2;
    while (below < above) {
      const size_t middle = below + (above - below) / 2;
      if (words[2 * middle] < at) {
        below = middle + 1;
      } else {
        above = middle;
      }
    }
    if (below < words.size() / 2 && words[2 * below] == at) value = words[2 * below + 1];
  });
  return whole ? value : CallTarget::kYieldsThread;
}

}  // namespace urge::preempt

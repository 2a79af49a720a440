// Builds and publishes the preemption map; see map.h.

#include "runtime/preempt/map.h"

#include <cxxabi.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <unordered_map>

#include "runtime/base/print.h"
#include "runtime/preempt/call_targets.h"
#include "runtime/preempt/cfi.h"
#include "runtime/preempt/elf_file.h"
#include "runtime/preempt/modules.h"
#include "runtime/preempt/policy.h"
#include "runtime/preempt/table.h"
#include "runtime/preempt/withdrawal.h"

// Bounds of the runtime's own section, where this code is linked into a program or a library.
extern "C" {
[[gnu::weak, gnu::visibility("hidden")]] extern const char __start_urge_text[];
[[gnu::weak, gnu::visibility("hidden")]] extern const char __stop_urge_text[];
}

namespace urge::preempt {
namespace {

constexpr int kStderr = 2;

constinit TextTable table;
constinit std::atomic<uint64_t> seen_load_count{0};  // [a] LoadCount at the last rebuild

// Not destroyed: goroutines and handlers may outlive main.
RuleList& Rules() {
  static RuleList& rules = *new RuleList;
  return rules;
}

// Touched only by the thread whose Rebuild is under way.
class Builder {
 public:
  void Build() {
    if (!environment_read_) {
      environment_read_ = true;
      Rules().AddFromEnvironment();
    }
    const uint32_t closed = ClosedPlaces();
    const uint64_t rules_version = Rules().version();
    const ModuleList list = ModuleList::Snapshot();
    std::vector<KindRange> ranges;
    std::vector<CallTarget> calls;
    Cache kept;
    for (const Module& module : list.modules()) {
      const Analyzed& known = Analyze(module, list, rules_version, &kept);
      ranges.insert(ranges.end(), known.text.ranges.begin(), known.text.ranges.end());
      calls.insert(calls.end(), known.calls.begin(), known.calls.end());
    }
    analyzed_ = std::move(kept);  // forgets modules that are gone
    rules_version_ = rules_version;
    if (__start_urge_text != nullptr) {
      ranges.push_back({{reinterpret_cast<uintptr_t>(__start_urge_text),
                         reinterpret_cast<uintptr_t>(__stop_urge_text)},
                        TextKind::kRuntime});
    }
    const std::vector<TextTable::Boundary> boundaries = TextTable::Flatten(ranges);
    if (boundaries != published_) {
      table.Publish(boundaries);
      published_ = boundaries;
    }
    if (calls != published_calls_) {
      PublishCallTargets(calls);
      published_calls_ = std::move(calls);
    }
    seen_load_count.store(list.load_count(), std::memory_order_relaxed);
    InvalidateCfiCache();
    FreePlaces(closed);
  }

 private:
  struct Analyzed {
    uint64_t identity;
    ModuleText text;
    std::vector<CallTarget> calls;
  };
  using Cache = std::unordered_map<uintptr_t, Analyzed>;  // by base

  // The module's text, analyzed anew only if it or the rules changed: symbol tables may be large.
  const Analyzed& Analyze(const Module& module, const ModuleList& list, uint64_t rules_version,
                          Cache* kept) {
    const auto found = analyzed_.find(module.base);
    if (rules_version == rules_version_ && found != analyzed_.end() &&
        found->second.identity == module.identity) {
      return kept->insert(analyzed_.extract(found)).position->second;
    }
    ModuleText text = AnalyzeModule(module, Rules());
    if (text.stripped_warning && !warned_) {
      warned_ = true;
      base::RawWriter(kStderr) << "urge: the program has statically linked libraries but no symbol "
                                  "table: none of its code will be preempted\n";
    }
    std::vector<CallTarget> calls;
    if (text.calls != CallsOf::kNobody) calls = FindCallTargets(module, list, text.calls);
    return kept->emplace(module.base, Analyzed{module.identity, std::move(text), std::move(calls)})
        .first->second;
  }

  Cache analyzed_;
  uint64_t rules_version_ = 0;
  std::vector<TextTable::Boundary> published_;
  std::vector<CallTarget> published_calls_;
  bool environment_read_ = false;
  bool warned_ = false;
};

Builder& TheBuilder() {
  static Builder& builder = *new Builder;
  return builder;
}

// Rebuilds asked for and not yet served; the one who makes it non-zero is the builder.
constinit std::atomic<uint32_t> rebuild_requests{0};

std::string DisplayName(const Module& module) {
  return module.main_program ? std::string("main program") : std::string(module.path);
}

// The function that holds an address of the module's file, from whichever table has it.
bool FindFunction(const ElfFile& file, uintptr_t address, FunctionSymbol* out) {
  for (const SymbolTable table : {SymbolTable::kFull, SymbolTable::kDynamic}) {
    for (const FunctionSymbol& function : file.Functions(table)) {
      if (function.range.Contains(address)) {
        *out = function;
        return true;
      }
    }
  }
  return false;
}

}  // namespace

TextKind PreemptionMap::Classify(uintptr_t pc) {
  const TextKind kind = table.Find(pc);
  return MayBeInterrupted(kind) && IsWithdrawn(pc) ? TextKind::kUnknown : kind;
}

bool PreemptionMap::Rebuild() noexcept {
  // Acquire-release: hands the builder's state from the last builder to this one, and what each
  // caller did before (a rule added, a module closed) to the builder.
  if (rebuild_requests.fetch_add(1, std::memory_order_acq_rel) != 0) return true;
  bool built = true;
  uint32_t served;
  do {
    served = rebuild_requests.load(std::memory_order_acquire);
    try {
      TheBuilder().Build();
    } catch (const std::bad_alloc&) {
      // Nothing was published, and it stays stale. Others' requests are served as ours.
      built = false;
    }
  } while (!rebuild_requests.compare_exchange_strong(served, 0, std::memory_order_acq_rel));
  return built;
}

bool PreemptionMap::Published() { return seen_load_count.load(std::memory_order_relaxed) != 0; }

bool PreemptionMap::Stale() {
  return LoadCount() != seen_load_count.load(std::memory_order_relaxed);
}

bool PreemptionMap::AllowModule(std::string_view name) {
  bool loaded = false;
  for (const ModuleList list = ModuleList::Snapshot(); const Module& module : list.modules()) {
    if (!NamesModule(name, module)) continue;
    const ModuleRole role = RoleOf(module);
    if (role == ModuleRole::kAlwaysOpaque || role == ModuleRole::kRuntime ||
        role == ModuleRole::kLibc) {
      return false;
    }
    loaded = true;
  }
  Rules().Add(RuleKind::kAllowModule, name);
  if (!Rebuild()) throw std::bad_alloc();
  return loaded;
}

bool PreemptionMap::DenySymbols(std::string_view pattern) {
  if (pattern.empty()) return false;
  const Rule* rule = Rules().Add(RuleKind::kDenySymbols, pattern);
  if (!Rebuild()) throw std::bad_alloc();
  return rule->matches.load(std::memory_order_relaxed) != 0;
}

TextDescription PreemptionMap::Describe(uintptr_t pc) {
  TextDescription description;
  description.kind = Classify(pc);
  const ModuleList list = ModuleList::Snapshot();
  const Module* module = list.Find(pc);
  if (module == nullptr) return description;
  description.module = DisplayName(*module);
  description.offset = pc - module->base;
  const auto file = ElfFile::Open(*module);
  FunctionSymbol function;
  if (file && FindFunction(*file, pc - module->base, &function)) {
    const std::string mangled(function.name);
    const std::unique_ptr<char, void (*)(void*)> demangled(
        abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, nullptr), std::free);
    description.symbol = demangled ? demangled.get() : mangled;
    description.offset = pc - module->base - function.range.begin;
  }
  return description;
}

void PreemptionMap::Print(int fd) {
  const ModuleList list = ModuleList::Snapshot();
  for (const Module& module : list.modules()) {
    const ModuleText text = AnalyzeModule(module, Rules());
    base::RawWriter out(fd);
    out << "urge: preemptmap: " << DisplayName(module);
    for (size_t i = 0; i < module.text_count; ++i) {
      out << " [" << base::Hex{module.text[i].begin} << ", " << base::Hex{module.text[i].end}
          << ")";
    }
    out << " " << text.reason;
    if (text.denied_functions != 0) out << "; " << text.denied_functions << " functions denied";
    out << "\n";
  }
  for (const Rule* rule = Rules().first(); rule != nullptr; rule = rule->next) {
    base::RawWriter(fd) << "urge: preemptmap: rule: "
                        << (rule->kind == RuleKind::kAllowModule ? "allow module " : "deny ")
                        << rule->text << "\n";
  }
}

}  // namespace urge::preempt

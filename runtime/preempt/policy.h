// Which modules and functions may be preempted: the rules, without the table made from them.
//
// Built-in rules come first: what each well-known module is, and which functions, statically linked
// into a program, hold locks or per-thread state. The user adds two kinds of rules, which are only
// ever added, so the list is append-only and is read without a lock:
//   allow a module   urge::allow_preemption("libz.so.1"), URGE_PREEMPTIBLE=libz.so.1:liblua5.4.so.0
//   deny functions   urge::deny_preemption("my_allocator::*"), URGE_UNPREEMPTIBLE="my_*;ns::*"

#ifndef URGE_RUNTIME_PREEMPT_POLICY_H_
#define URGE_RUNTIME_PREEMPT_POLICY_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/preempt/modules.h"

namespace urge::preempt {

// True if all of `text` matches `pattern`, where * stands for any characters and ? for one.
bool MatchesGlob(std::string_view pattern, std::string_view text);

enum class ModuleRole {
  kMainProgram,
  kRuntime,       // the shared library that holds this code
  kPure,          // computes, and touches nothing shared: libm
  kLibc,          // opaque save its pure leaves
  kAlwaysOpaque,  // holds locks and per-thread state that others wait for: never allowed
  kOther,         // opaque until the user allows it
};
ModuleRole RoleOf(const Module& module);

// True if `name` means the module: its path, file name or soname, whole or up to ".so".
bool NamesModule(std::string_view name, const Module& module);

// True if a function of this (mangled) name, linked into a program, must never be preempted:
// allocators, the unwinder, the C++ runtime, sanitizers, Abseil's locks.
bool IsDeniedByDefault(std::string_view symbol);
// Of those, the ones that programs replace by their own: malloc's family, operator new and delete.
bool IsReplaceable(std::string_view symbol);
// operator new or delete, of any sort.
bool IsAllocatingOperator(std::string_view symbol);
// True if `symbol` is a function of the C++ standard library or its runtime.
bool IsStandardLibraryName(std::string_view symbol);
// The name without the suffixes that compilers give to parts of a function (".cold", ".part.0").
std::string_view WithoutCloneSuffix(std::string_view symbol);

// True if what this (mangled) function returns belongs to the calling thread: the address of
// something thread-local, or the thread's identity. Library functions only; those of others are
// recognised by their code (thread_bound.h).
bool YieldsThreadByName(std::string_view symbol);

// Leaf functions of libc that are safe by nature: they only read and write the memory that they are
// given. Null-terminated array.
extern const char* const kPureLibcFunctions[];

// Functions of libc that call their callers back and hold no lock meanwhile, so that the callback
// may be switched off. Null-terminated array.
extern const char* const kCallingBackLibcFunctions[];

enum class RuleKind { kAllowModule, kDenySymbols };

struct Rule {
  RuleKind kind;
  std::string text;
  mutable std::atomic<uint32_t> matches{0};  // [a] functions or modules that it applied to
  const Rule* next = nullptr;
};

// The user's rules. Adding is lock-free; nothing is ever removed or freed.
class RuleList {
 public:
  // Returns the rule; an equal one that was there before serves as well.
  const Rule* Add(RuleKind kind, std::string_view text);
  // Adds what URGE_PREEMPTIBLE and URGE_UNPREEMPTIBLE name. Call once.
  void AddFromEnvironment();

  bool Allows(const Module& module) const;
  bool HasDenials() const;
  // True if a denial matches the mangled or the demangled name (with or without its parameters).
  bool Denies(std::string_view symbol) const;
  // Rises with each rule.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  const Rule* first() const { return head_.load(std::memory_order_acquire); }

 private:
  std::atomic<const Rule*> head_{nullptr};  // [a]
  std::atomic<uint64_t> version_{0};        // [a]
};

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_POLICY_H_

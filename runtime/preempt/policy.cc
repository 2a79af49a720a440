// The built-in rules and the user's; see policy.h.

#include "runtime/preempt/policy.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>

namespace urge::preempt {
namespace {

// Sonames up to ".so". libm's one impurity is errno: it stores through a constant offset from %fs
// in a single instruction, so a goroutine that moves to another thread between loading the offset
// and storing writes the errno of the thread it runs on then, which is its own. It allocates and
// locks nothing (matherr's message to stderr is written by libc, where the pc is opaque).
constexpr std::string_view kPureModules[] = {"libm", "libmvec"};
constexpr std::string_view kOpaqueModules[] = {
    "ld-linux-x86-64", "libstdc++", "libgcc_s", "libpthread", "libdl",    "librt",   "libc++",
    "libc++abi",       "libunwind", "libasan",  "libtsan",    "libubsan", "liblsan",
};
constexpr std::string_view kVdso = "linux-vdso";
constexpr std::string_view kLibc = "libc";

constexpr std::string_view kDeniedNames[] = {
    "malloc",       "free",     "calloc",         "realloc",
    "reallocarray", "memalign", "aligned_alloc",  "posix_memalign",
    "valloc",       "pvalloc",  "cfree",          "malloc_usable_size",
    "malloc_trim",  "mallopt",  "dlmalloc",       "dlfree",
    "dlrealloc",    "dlcalloc", "rpmalloc",       "rpfree",
    "rprealloc",    "rpcalloc", "sdallocx",       "nallocx",
    "xallocx",      "sallocx",  "dallocx",        "rallocx",
    "mallocx",      "mallctl",  "__tls_get_addr",
};

constexpr std::string_view kYieldsThread[] = {
    // addresses of thread-local variables, as compilers and headers ask for them
    "__tls_get_addr",
    "___tls_get_addr",
    "__emutls_get_address",
    "__errno_location",
    "__h_errno_location",
    "__res_state",
    "__ctype_b_loc",
    "__ctype_tolower_loc",
    "__ctype_toupper_loc",
    "__cxa_get_globals",
    "__cxa_get_globals_fast",
    // the thread's identity. syscall(SYS_gettid) is how it was asked for before glibc 2.30, and
    // which call it is can't be seen.
    "pthread_self",
    "thrd_current",
    "gettid",
    "syscall",
    // what the thread has stored, and buffers that are kept per thread
    "pthread_getspecific",
    "tss_get",
    "uselocale",
    "strerror",
    "strsignal",
    "dlerror",
    "inet_ntoa",
};

// A glob with the length of its literal beginning: most symbols fail there.
struct Glob {
  constexpr Glob(std::string_view text)  // NOLINT: a table of strings
      : pattern(text), literal(text.substr(0, text.find_first_of("*?"))) {}
  bool Matches(std::string_view text) const {
    return text.starts_with(literal) && MatchesGlob(pattern, text);
  }
  std::string_view pattern;
  std::string_view literal;
};

// Names in C.
constexpr Glob kDeniedGlobs[] = {
    // the C++ runtime and the unwinder
    {"__cxa_*"},
    {"_Unwind_*"},
    {"__gxx_personality_*"},
    {"__gcc_personality_*"},
    {"__register_frame*"},
    {"__deregister_frame*"},
    // segmented stacks: on a stack of its own kind while it runs
    {"__morestack*"},
    {"__splitstack_*"},
    {"__generic_morestack*"},
    {"__generic_releasestack*"},
    // libc, where it is linked statically
    {"__libc_*"},
    {"_dl_*"},
    {"_IO_*"},
    {"__pthread_*"},
    {"__lll_*"},
    // allocators
    {"tc_malloc*"},
    {"tc_free*"},
    {"tc_new*"},
    {"tc_delete*"},
    {"tc_calloc*"},
    {"tc_realloc*"},
    {"tc_memalign*"},
    {"tc_posix_memalign*"},
    {"TCMalloc*"},
    {"je_*"},
    {"_rjem_*"},
    {"jemalloc_*"},
    {"mi_*"},
    {"_mi_*"},
    // sanitizers
    {"__asan_*"},
    {"__tsan_*"},
    {"__msan_*"},
    {"__lsan_*"},
    {"__ubsan_*"},
    {"__hwasan_*"},
    {"__sanitizer_*"},
    {"__interceptor_*"},
    {"___interceptor_*"},
    // Abseil: locks that spin or block the thread, and what runs under them
    {"AbslInternal*"},
};

// Names in C++ ("_Z").
constexpr Glob kDeniedCxxGlobs[] = {
    // operator new and delete
    {"_Znw*"},
    {"_Zna*"},
    {"_Zdl*"},
    {"_Zda*"},
    // allocators
    {"_ZN8tcmalloc*"},
    {"_ZNK8tcmalloc*"},
    {"_ZN8snmalloc*"},
    {"_ZN5scudo*"},
    {"_ZN5Hoard*"},
    // sanitizers
    {"_ZN11__sanitizer*"},
    {"_ZN6__asan*"},
    {"_ZN6__tsan*"},
    {"_ZN6__lsan*"},
    {"_ZN7__ubsan*"},
    {"_ZN14__interception*"},
    // Abseil: locks that spin or block the thread, and what runs under them
    {"_ZN4absl*13base_internal*"},
    {"_ZN4absl*24synchronization_internal*"},
    {"_ZN4absl*5Mutex*"},
    {"_ZNK4absl*5Mutex*"},
    {"_ZN4absl*7CondVar*"},
    {"_ZN4absl*18debugging_internal*"},
    {"_ZN4absl*9SymbolizeE*"},
};

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// "libz.so.1.2" -> "libz"; "linux-vdso.so.1" -> "linux-vdso"; "libc-2.31.so" stays with its number.
std::string_view Stem(std::string_view name) { return name.substr(0, name.find(".so")); }

std::string Demangle(std::string_view symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> demangled(
      abi::__cxa_demangle(std::string(symbol).c_str(), nullptr, nullptr, &status), std::free);
  return status == 0 ? std::string(demangled.get()) : std::string();
}

// "ns::f(int (*)(char)) const" -> "ns::f": cuts at the parenthesis that the last one closes.
std::string_view WithoutParameters(std::string_view demangled) {
  size_t at = demangled.rfind(')');
  if (at == std::string_view::npos) return demangled;
  for (int depth = 0;; --at) {
    if (demangled[at] == ')') ++depth;
    if (demangled[at] == '(' && --depth == 0) return demangled.substr(0, at);
    if (at == 0) return demangled;
  }
}

}  // namespace

const char* const kPureLibcFunctions[] = {
    "memcpy",    "memmove", "mempcpy", "memset",  "memcmp",    "bcmp",    "memchr",  "memrchr",
    "rawmemchr", "strlen",  "strnlen", "strchr",  "strchrnul", "strrchr", "strcmp",  "strncmp",
    "strcpy",    "stpcpy",  "strncpy", "stpncpy", "strcat",    "strncat", "strspn",  "strcspn",
    "strpbrk",   "wcslen",  "wcsnlen", "wcschr",  "wcsrchr",   "wcscmp",  "wcsncmp", "wcscpy",
    "wmemset",   "wmemchr", "wmemcmp", nullptr,
};

// They work on the caller's data, and a callback may call any of them itself (a comparator that
// sorts, say), which a lock around it would not let it do. What qsort allocates it has allocated
// before the first comparison and frees after the last. Of their thread they use errno; their code
// is looked at for that as a program's is.
const char* const kCallingBackLibcFunctions[] = {
    "qsort", "qsort_r", "bsearch", "lfind",   "lsearch",  "tsearch",
    "tfind", "tdelete", "twalk",   "twalk_r", "tdestroy", nullptr,
};

bool MatchesGlob(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0;
  size_t star = std::string_view::npos;  // the last * seen, and how far it has matched
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

ModuleRole RoleOf(const Module& module) {
  if (module.main_program) return ModuleRole::kMainProgram;
  if (module.Contains(reinterpret_cast<uintptr_t>(&RoleOf))) return ModuleRole::kRuntime;
  const std::string_view stem = Stem(module.soname.empty() ? BaseName(module.path) : module.soname);
  if (stem == kLibc) return ModuleRole::kLibc;
  if (stem == kVdso || std::count(std::begin(kOpaqueModules), std::end(kOpaqueModules), stem) > 0) {
    return ModuleRole::kAlwaysOpaque;
  }
  if (std::count(std::begin(kPureModules), std::end(kPureModules), stem) > 0) {
    return ModuleRole::kPure;
  }
  return ModuleRole::kOther;
}

bool NamesModule(std::string_view name, const Module& module) {
  if (name.empty()) return false;
  if (name == module.path) return true;
  for (const std::string_view candidate : {BaseName(module.path), module.soname}) {
    if (candidate.empty()) continue;
    const std::string_view stem = Stem(candidate);
    if (name == candidate || name == stem) return true;
    // "libz.so" and "libz.so.1" both mean libz.so.1.2.13.
    if (candidate.starts_with(name) && name.size() >= stem.size() + 3 &&
        candidate[name.size()] == '.') {
      return true;
    }
  }
  return false;
}

bool YieldsThreadByName(std::string_view symbol) {
  return std::count(std::begin(kYieldsThread), std::end(kYieldsThread), symbol) > 0;
}

std::string_view WithoutCloneSuffix(std::string_view symbol) {
  return symbol.substr(0, symbol.find('.', 1));
}

bool IsDeniedByDefault(std::string_view symbol) {
  const std::string_view name = WithoutCloneSuffix(symbol);
  const auto matches = [name](const Glob& glob) { return glob.Matches(name); };
  if (name.starts_with("_Z")) {
    return std::any_of(std::begin(kDeniedCxxGlobs), std::end(kDeniedCxxGlobs), matches);
  }
  return std::count(std::begin(kDeniedNames), std::end(kDeniedNames), name) > 0 ||
         std::any_of(std::begin(kDeniedGlobs), std::end(kDeniedGlobs), matches);
}

bool IsAllocatingOperator(std::string_view symbol) {
  for (const std::string_view prefix : {"_Znw", "_Zna", "_Zdl", "_Zda"}) {
    if (symbol.starts_with(prefix)) return true;
  }
  return false;
}

bool IsReplaceable(std::string_view symbol) {
  const std::string_view name = WithoutCloneSuffix(symbol);
  return IsAllocatingOperator(name) ||
         std::count(std::begin(kDeniedNames), std::end(kDeniedNames), name) > 0;
}

bool IsStandardLibraryName(std::string_view symbol) {
  if (!symbol.starts_with("_Z")) return false;
  std::string_view name = symbol.substr(2);
  // Thunks: _ZThn16_NSt..., _ZTv0_n24_NKSt...
  if (name.starts_with("Th") || name.starts_with("Tv") || name.starts_with("Tc")) {
    const size_t nested = name.find("_N");
    if (nested == std::string_view::npos) return false;
    name = name.substr(nested + 1);
  }
  if (name.starts_with("St")) return true;
  if (!name.starts_with("N")) return false;
  name = name.substr(1);
  while (!name.empty() && (name[0] == 'K' || name[0] == 'V' || name[0] == 'R' || name[0] == 'O')) {
    name = name.substr(1);
  }
  for (const std::string_view scope :
       {"St", "Ss", "Sa", "Sb", "Si", "So", "Sd", "9__gnu_cxx", "10__cxxabiv1", "7__cxx11"}) {
    if (name.starts_with(scope)) return true;
  }
  return false;
}

const Rule* RuleList::Add(RuleKind kind, std::string_view text) {
  for (const Rule* rule = first(); rule != nullptr; rule = rule->next) {
    if (rule->kind == kind && rule->text == text) return rule;
  }
  Rule* rule = new Rule{.kind = kind, .text = std::string(text)};
  const Rule* head = head_.load(std::memory_order_relaxed);
  do {
    rule->next = head;
    // Release: pairs with first(); publishes the rule.
  } while (!head_.compare_exchange_weak(head, rule, std::memory_order_release,
                                        std::memory_order_relaxed));
  version_.fetch_add(1, std::memory_order_release);
  return rule;
}

void RuleList::AddFromEnvironment() {
  const auto add = [this](const char* variable, char separator, RuleKind kind) {
    const char* value = std::getenv(variable);
    if (value == nullptr) return;
    for (std::string_view rest = value; !rest.empty();) {
      const std::string_view text = rest.substr(0, rest.find(separator));
      if (!text.empty()) Add(kind, text);
      rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    }
  };
  add("URGE_PREEMPTIBLE", ':', RuleKind::kAllowModule);
  // C++ names have colons and commas.
  add("URGE_UNPREEMPTIBLE", ';', RuleKind::kDenySymbols);
}

bool RuleList::Allows(const Module& module) const {
  bool allowed = false;
  for (const Rule* rule = first(); rule != nullptr; rule = rule->next) {
    if (rule->kind == RuleKind::kAllowModule && NamesModule(rule->text, module)) {
      rule->matches.fetch_add(1, std::memory_order_relaxed);
      allowed = true;
    }
  }
  return allowed;
}

bool RuleList::HasDenials() const {
  for (const Rule* rule = first(); rule != nullptr; rule = rule->next) {
    if (rule->kind == RuleKind::kDenySymbols) return true;
  }
  return false;
}

bool RuleList::Denies(std::string_view symbol) const {
  const std::string_view name = WithoutCloneSuffix(symbol);
  const std::string demangled = Demangle(name);
  const std::string_view bare = WithoutParameters(demangled);
  bool denied = false;
  for (const Rule* rule = first(); rule != nullptr; rule = rule->next) {
    if (rule->kind != RuleKind::kDenySymbols) continue;
    const std::string_view pattern = rule->text;
    if (MatchesGlob(pattern, name) ||
        (!demangled.empty() && (MatchesGlob(pattern, demangled) || MatchesGlob(pattern, bare)))) {
      rule->matches.fetch_add(1, std::memory_order_relaxed);
      denied = true;
    }
  }
  return denied;
}

}  // namespace urge::preempt

// Preemption from a program's point of view: holding it off, offering it, and saying where it may
// strike.

#ifndef URGE_PREEMPT_H_
#define URGE_PREEMPT_H_

#include <string_view>

#include <urge/detail/export.h>

namespace urge {
namespace detail {
URGE_API void no_preempt_enter() noexcept;
URGE_API void no_preempt_leave() noexcept;
URGE_API void checkpoint_slow() noexcept;

// The guard word is at %fs:0x70 (glibc reserves it for split stacks); it holds a value above every
// stack address while a request is pending.
inline bool guard_says_slow() noexcept {
  bool slow;
  asm volatile("cmpq %%fs:0x70, %%rsp" : "=@ccb"(slow) : : "memory");
  return slow;
}
}  // namespace detail

// While one lives, the goroutine that made it is preempted in no way; blocking and yielding still
// switch. Nests. A request that came meanwhile is served when the last one ends. Outside a
// goroutine it does nothing. Must end on the goroutine that began it.
class no_preempt {
 public:
  no_preempt() noexcept { detail::no_preempt_enter(); }
  ~no_preempt() { detail::no_preempt_leave(); }
  no_preempt(const no_preempt&) = delete;
  no_preempt& operator=(const no_preempt&) = delete;
};

// Yields if the goroutine has been asked to stop, for hot loops in code without -fsplit-stack:
// one load and one compare, exactly a split-stack prologue's check. Works on every thread.
inline void checkpoint() noexcept {
  if (__builtin_expect(detail::guard_says_slow(), 0)) detail::checkpoint_slow();
}

// Lets goroutines be preempted by signal inside a shared library, named by its soname or file
// name ("libz.so.1", "libz.so" or "libz"), loaded now or later. The library must hold no lock that
// its callers' other goroutines may want and cache no thread identity across calls. Returns whether
// such a library is loaded now. Thread-safe. See also URGE_PREEMPTIBLE.
URGE_API bool allow_preemption(std::string_view module);
// Forbids it in functions whose symbol (mangled or demangled) matches the pattern, where * stands
// for any text and ? for one character. Returns whether some loaded symbol matches. See also
// URGE_UNPREEMPTIBLE, a list separated by semicolons.
URGE_API bool deny_preemption(std::string_view symbol_pattern);

}  // namespace urge

#endif  // URGE_PREEMPT_H_

// Assertions and fatal errors.
//
// URGE_CHECK stays on in release: it guards invariants whose violation would corrupt memory
// silently. URGE_DCHECK is for walkers and for conditions on the hottest paths; it is on with
// -DURGE_DEBUG_CHECKS (make CONFIG=debug). Neither allocates, so both may be used on g0 and in
// signal handlers.

#ifndef URGE_RUNTIME_BASE_CHECK_H_
#define URGE_RUNTIME_BASE_CHECK_H_

#include <string_view>

namespace urge::base {

// Ends the process after "fatal error: <message>", with the traceback of the current goroutine
// when there is one (through the hook below). Exit status 2, as in Go.
// Signal-safe: yes.
[[noreturn]] void Fatal(std::string_view message);
// As Fatal, with the tracebacks of all goroutines.
[[noreturn]] void FatalWithAll(std::string_view message);
// As Fatal, followed by ": " and the text of errno value `error`.
[[noreturn]] void FatalErrno(std::string_view message, int error);
[[noreturn]] void CheckFailed(const char* file, int line, const char* what);

// Called by Fatal before the process ends, to say which goroutine failed and where, or, with kAll,
// what all of them were doing. Set once by the traceback layer.
enum class FatalScope { kCurrent, kAll };
using FatalHook = void (*)(FatalScope scope);
void SetFatalHook(FatalHook hook);

// Exit status of every fatal error. Go: exit(2) in dopanic and fatalthrow.
inline constexpr int kFatalExitStatus = 2;

}  // namespace urge::base

#define URGE_LIKELY(x) __builtin_expect(static_cast<bool>(x), 1)
#define URGE_UNLIKELY(x) __builtin_expect(static_cast<bool>(x), 0)

#define URGE_CHECK(condition)                    \
  (URGE_LIKELY(condition) ? static_cast<void>(0) \
                          : ::urge::base::CheckFailed(__FILE__, __LINE__, #condition))
#define URGE_CHECK_MSG(condition, message)       \
  (URGE_LIKELY(condition) ? static_cast<void>(0) \
                          : ::urge::base::CheckFailed(__FILE__, __LINE__, message))

#ifdef URGE_DEBUG_CHECKS
#define URGE_DCHECK(condition) URGE_CHECK(condition)
#else
#define URGE_DCHECK(condition) static_cast<void>(sizeof(condition))
#endif

#endif  // URGE_RUNTIME_BASE_CHECK_H_

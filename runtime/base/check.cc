#include "runtime/base/check.h"

#include <unistd.h>

#include <atomic>
#include <cstring>

#include "runtime/base/os.h"
#include "runtime/base/print.h"

namespace urge::base {
namespace {

std::atomic<FatalHook> g_fatal_hook{nullptr};
std::atomic<int> g_fatal_tid{0};

// Lets one thread report; a second failure on the same thread (in the hook, say) goes straight
// out, and other threads wait for the end.
void EnterFatal() {
  int expected = 0;
  const int self = Gettid();
  if (g_fatal_tid.compare_exchange_strong(expected, self)) return;
  if (expected == self) _exit(kFatalExitStatus);
  for (;;) pause();
}

[[noreturn]] void LeaveFatal(FatalScope scope = FatalScope::kCurrent) {
  if (FatalHook hook = g_fatal_hook.exchange(nullptr)) hook(scope);
  _exit(kFatalExitStatus);
}

}  // namespace

void SetFatalHook(FatalHook hook) { g_fatal_hook.store(hook); }

void Fatal(std::string_view message) {
  EnterFatal();
  RawWriter(STDERR_FILENO) << "fatal error: " << message << "\n";
  LeaveFatal();
}

void FatalWithAll(std::string_view message) {
  EnterFatal();
  RawWriter(STDERR_FILENO) << "fatal error: " << message << "\n";
  LeaveFatal(FatalScope::kAll);
}

void FatalErrno(std::string_view message, int error) {
  EnterFatal();
  const char* text = strerrordesc_np(error);
  RawWriter(STDERR_FILENO) << "fatal error: " << message << ": " << (text ? text : "error ")
                           << " (errno " << error << ")\n";
  LeaveFatal();
}

void CheckFailed(const char* file, int line, const char* what) {
  EnterFatal();
  RawWriter(STDERR_FILENO) << "fatal error: " << file << ":" << line << ": check failed: " << what
                           << "\n";
  LeaveFatal();
}

}  // namespace urge::base

#include "runtime/preempt/foreign_handler.h"

#include <pthread.h>

#include "runtime/base/word_lock.h"

namespace urge::preempt {
namespace {

// Indexed by the signal's number.
constinit std::atomic<ForeignHandler*> g_shared[_NSIG]{};

}  // namespace

void ForeignHandler::Set(const struct sigaction& action) {
  action_ = action;
  const auto address = reinterpret_cast<std::uintptr_t>(action.sa_handler);
  const bool three = (action.sa_flags & SA_SIGINFO) != 0;
  packed_.store(std::uint64_t{address} << 1 | (three ? 1 : 0), std::memory_order_release);
}

void ForeignHandler::Exchange(const struct sigaction* action, struct sigaction* old) {
  // With signals blocked: a handler that calls this would wait for its own thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  base::LockWord(lock_);
  const struct sigaction former = action_;
  if (action != nullptr) Set(*action);
  base::UnlockWord(lock_);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (old != nullptr) *old = former;
}

void ForeignHandler::Call(int signal, siginfo_t* info, void* context) const {
  const std::uint64_t foreign = packed_.load(std::memory_order_acquire);
  const std::uint64_t address = foreign >> 1;
  if (address != reinterpret_cast<std::uintptr_t>(SIG_DFL) &&
      address != reinterpret_cast<std::uintptr_t>(SIG_IGN)) {
    if ((foreign & 1) != 0) {
      reinterpret_cast<void (*)(int, siginfo_t*, void*)>(address)(signal, info, context);
    } else {
      reinterpret_cast<void (*)(int)>(address)(signal);
    }
  } else if (address == reinterpret_cast<std::uintptr_t>(SIG_DFL) && signal != SIGURG &&
             signal != SIGCHLD && signal != SIGWINCH && signal != SIGCONT) {
    // The signal's default action is to end the process: a stranger's must do so.
    struct sigaction by_default {};
    sigaction(signal, &by_default, nullptr);
    raise(signal);
  }
}

void ShareSignal(int signal, ForeignHandler* foreign) {
  g_shared[signal].store(foreign, std::memory_order_release);
}

ForeignHandler* SharedSignal(int signal) {
  if (signal <= 0 || signal >= _NSIG) return nullptr;
  return g_shared[signal].load(std::memory_order_acquire);
}

}  // namespace urge::preempt

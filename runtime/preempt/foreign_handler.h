// Signals that urge shares with the program: ours are told apart by their value, all others go on
// to what the program has installed, before us or since (interpose/signals.cc).

#ifndef URGE_RUNTIME_PREEMPT_FOREIGN_HANDLER_H_
#define URGE_RUNTIME_PREEMPT_FOREIGN_HANDLER_H_

#include <signal.h>

#include <atomic>
#include <cstdint>

namespace urge::preempt {

class ForeignHandler {
 public:
  constexpr ForeignHandler() = default;

  void Set(const struct sigaction& action);
  // As sigaction(2), for what is called with signals that are not ours. Of its flags only
  // SA_SIGINFO matters; every signal is blocked meanwhile.  Signal-safe: yes.
  void Exchange(const struct sigaction* action, struct sigaction* old);
  // In our handler, with a signal that isn't ours. The default action may end the process.
  void Call(int signal, siginfo_t* info, void* context) const;

 private:
  // The handler's address times 2, plus 1 if it takes three arguments.
  std::atomic<std::uint64_t> packed_{0};
  // The same in full, for those who ask. Guarded by a word that is held with signals blocked.
  std::atomic<std::uint32_t> lock_{0};
  struct sigaction action_ {};
};

// From now on urge has a handler for this signal, and strangers' go on to `foreign`.
void ShareSignal(int signal, ForeignHandler* foreign);
// Null unless urge has a handler for it.  Signal-safe: yes.
ForeignHandler* SharedSignal(int signal);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_FOREIGN_HANDLER_H_

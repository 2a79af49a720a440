// SIGQUIT: shows every goroutine and ends the process, as Go does.
//
//  1. The handler says who was interrupted where, rings for the clerk, and returns: what it has
//     interrupted may hold a lock that naming lines would need.
//  2. The clerk stops the world, takes a snapshot, and prints it with files and lines.
//  3. A timer watches over it, put off at each group of goroutines. Should the clerk get stuck (the
//     heap may be corrupt, a lock held for ever) it sends SIGQUIT again, whose handler then shows
//     everything itself, by what is safe there: modules and offsets.
//
// A SIGQUIT of the user's meanwhile changes nothing.

#ifndef URGE_RUNTIME_TRACEBACK_QUIT_H_
#define URGE_RUNTIME_TRACEBACK_QUIT_H_

#include <signal.h>

namespace urge::traceback {

enum class QuitStep {
  kFirst,     // the handler says who was interrupted, and calls LeaveToClerk
  kKnown,     // nothing to do: the clerk is at work
  kTakeOver,  // the clerk is stuck, or there is nothing for it to show: the handler reports
};
// In the handler. Signal-safe: yes, both.
QuitStep BeginQuit(const siginfo_t* info);
void LeaveToClerk();

// By the clerk: doesn't return if there was a SIGQUIT.
void QuitIfAsked();

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_QUIT_H_

// A Unix socket at which the process answers those who watch it (answers.h): scripts/top, curl,
// Prometheus.
//
//  1. Serve binds and listens, and starts a plain thread with every signal blocked. It is no M and
//     calls nothing that could block on a goroutine, so that serving takes only its own CPU time.
//  2. The thread sleeps in poll(2) without a time limit until somebody connects or asks: nobody
//     connected, no wake-ups.
//  3. Each connection is answered only if its other end has this process's effective user id
//     (SO_PEERCRED); another user, root too, is told so and dropped.
//  4. A client that neither reads nor ends its line is dropped after kPatienceMs, so that it keeps
//     the others waiting no longer than that.
//
// An address is a path, or '@' and a name in Linux's abstract namespace: nothing there to be left
// behind when the process dies. A path's socket has mode 0600 and goes at exit; one that a dead
// process has left is replaced.
//
// A forked child doesn't serve, and closes its copy of the socket.
//
// Rejected: a page of shared memory, which readers would have to map at the layout of the very
// version, and which can't count goroutines unless somebody keeps counts.

#ifndef URGE_RUNTIME_OBSERVE_SERVER_H_
#define URGE_RUNTIME_OBSERVE_SERVER_H_

#include <string>
#include <string_view>

namespace urge::observe {

// Where scripts/top looks for this process.
std::string DefaultAddress();

// Serves at `address`, at DefaultAddress() if it is empty. Returns where, which is the former
// address if the process serves already.
// Errors: std::invalid_argument; std::system_error if the address can't be had.
std::string Serve(std::string_view address);

}  // namespace urge::observe

#endif  // URGE_RUNTIME_OBSERVE_SERVER_H_

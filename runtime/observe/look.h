// A look at Ps, Ms and Gs from outside, while all of them go on.
//
//  1. Everything looked at is type-stable and read field by field without a lock: what is seen
//     together need not be of the same instant, and nobody waits for the one who looks. Only three
//     counts of threads are read under the scheduler's lock.
//  2. A P's load is the share of the time in which it had an owner: a thread that runs goroutines
//     with it, or looks for one. Not counted is what it spends idle, or lent to a system call. The
//     scheduler keeps the time without an owner (sched.h, NoteUnowned) once EnableLoads was called.
//  3. Goroutines are counted by walking the list of all that ever were: some 10 ns each.
//
// Rejected: stop-the-world, which would change what is looked at; counters of states, which every
// switch would have to keep.

#ifndef URGE_RUNTIME_OBSERVE_LOOK_H_
#define URGE_RUNTIME_OBSERVE_LOOK_H_

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/sched/sched.h"

namespace urge::observe {

// A plain field of something that another thread may be writing. What is read may be stale, and
// of a text torn.
template <class T>
__attribute__((noinline, no_sanitize("thread"))) T Peek(const T& field) {
  return const_cast<const volatile T&>(field);
}

// From now on the scheduler keeps the time that LookAtProc reads.
void EnableLoads();

struct GoroutineLook {
  std::uint64_t goid = 0;  // 0: none
  char name[sizeof(sched::G::name)] = {};
};
// Who a G is at present. Null is none.
GoroutineLook LookAt(const sched::G* gp);

struct ProcLook {
  int id = 0;
  sched::PStatus status = sched::PStatus::kIdle;
  bool spare = false;
  std::uint32_t queued = 0;
  std::uint32_t slices = 0;  // modulo 2^32, as the next two
  std::uint32_t switches = 0;
  std::uint32_t syscalls = 0;
  std::uint64_t unowned_ns = 0;  // since EnableLoads
  int tid = 0;                   // of the thread that has it; 0: none
  GoroutineLook goroutine;       // that it runs
  std::uint64_t running_ns = 0;  // how long already, as far as that is known
};
ProcLook LookAt(const sched::P* p, std::uint64_t now_ns);
// The Ps that there are, spare ones included.
std::vector<ProcLook> LookAtProcs();

struct ThreadCounts {
  int scheduler = 0;   // that run goroutines,
  int idle = 0;        // of these: without work
  int wired_idle = 0;  // of these: waiting for the goroutine that is bound to them
  int spinning = 0;    // of these: looking for work
  int own = 0;         // sysmon and the like
  int blocked = 0;     // the program's own, waiting inside urge's API
};
ThreadCounts CountThreads();

inline constexpr std::size_t kWaitReasonCount = 14;
struct GoroutineCounts {
  std::array<std::uint64_t, sched::kGStatusCount> by_status{};  // system goroutines not included
  std::array<std::uint64_t, kWaitReasonCount> by_wait_reason{};
  std::uint64_t wired = 0;
  std::uint64_t system = 0;

  std::uint64_t Of(sched::GStatus status) const {
    return by_status[static_cast<std::size_t>(status)];
  }
};
GoroutineCounts CountGoroutines();

}  // namespace urge::observe

#endif  // URGE_RUNTIME_OBSERVE_LOOK_H_

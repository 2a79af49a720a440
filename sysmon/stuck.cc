#include "sysmon/stuck.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "runtime/sched/sched.h"

namespace urge::sysmon {
namespace {

using sched::g_sched;
using sched::M;
using sched::P;

// CPU time of a thread of this process; 0 if it has none.
std::uint64_t CpuNs(int tid) {
  // The kernel's encoding of a thread's CPU clock: CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED.
  const clockid_t clock = static_cast<clockid_t>(~static_cast<unsigned>(tid) << 3 | 6u);
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(t.tv_nsec);
}

// Does the thread sleep in the kernel, until a signal or something that it waits for?
bool Sleeps(int tid) {
  char path[64];
  std::snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char line[128];
  const ssize_t n = read(fd, line, sizeof(line));
  close(fd);
  // "tid (name) S ...": a name may have parentheses of its own.
  const std::string_view text(line, n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::size_t name_end = text.rfind(") ");
  return name_end != text.npos && name_end + 2 < text.size() && text[name_end + 2] == 'S';
}

bool RunsStill(const P* p, const M* m) {
  return p->m.load(std::memory_order_acquire) == m &&
         p->status.load(std::memory_order_acquire) == sched::PStatus::kRunning &&
         p->watch.cpu_switch == p->switches.load(std::memory_order_relaxed);
}

// True if the M has used CPU time as one that computes since the last look, which this one becomes.
bool Computes(P* p, const M* m, std::uint64_t now) {
  P::Watch& watch = p->watch;
  const std::uint64_t cpu = CpuNs(m->tid);
  const std::uint64_t used = cpu - watch.cpu_ns, passed = now - watch.cpu_at_ns;
  watch.cpu_ns = cpu;
  watch.cpu_at_ns = now;
  return used > passed / base::kStuckCpuShare;
}

// Adds a P that works in p's stead, until p moves.
bool StandIn(P* p, bool computes) {
  P* spare = sched::AddSpareP(p);
  if (spare == nullptr) return false;
  p->watch.stuck = true;
  p->watch.computes = computes;
  p->attention.fetch_or(sched::kAttendMoved, std::memory_order_relaxed);
  trace::AddShared(trace::Counter::kSparePs);
  // Somebody's timer may be what waits.
  spare->attention.fetch_or(sched::kAttendTimer, std::memory_order_relaxed);
  sched::StartM(spare, false);
  return true;
}

}  // namespace

bool LookForStuck(P* p, std::uint64_t now, std::uint64_t* again_ns) {
  const M* m = p->m.load(std::memory_order_acquire);
  if (m == nullptr) return false;
  P::Watch& watch = p->watch;
  const std::uint32_t run = p->switches.load(std::memory_order_relaxed);
  if (watch.cpu_switch != run) {
    watch.cpu_switch = run;
    watch.cpu_ns = CpuNs(m->tid);
    watch.cpu_at_ns = now;
  }
  const std::uint64_t due = watch.cpu_at_ns + base::kStuckAfterNs;
  *again_ns = due;
  if (now < due) return false;
  *again_ns = now + base::kStuckAfterNs;
  if (Computes(p, m, now) || !Sleeps(m->tid)) return false;
  if (p->solo.load(std::memory_order_relaxed)) sched::EndSolo();
  // In this order: see spare.cc.
  if (!Sleeps(m->tid) || !RunsStill(p, m)) return false;
  return StandIn(p, /*computes=*/false);
}

bool LookForForeign(P* p, std::uint64_t now, std::uint64_t* again_ns) {
  P::Watch& watch = p->watch;
  const std::uint64_t due = watch.asked_ns + base::kForeignAfterNs;
  *again_ns = due;
  const M* m = p->m.load(std::memory_order_acquire);
  if (now < due || m == nullptr) return false;
  *again_ns = now + base::kRetryMaxNs;
  // acquire: pairs with the handler's release.
  const std::uint32_t hits = m->foreign_hits.load(std::memory_order_acquire);
  if (hits == watch.foreign_hits) return false;
  if (!watch.solo_ended) {
    // See spare.cc: a handler that meets foreign code from now on shows that no operation is under
    // way which has read the flag as set.
    if (p->solo.load(std::memory_order_relaxed)) sched::EndSolo();
    watch.solo_ended = true;
    watch.foreign_hits = m->foreign_hits.load(std::memory_order_relaxed);
    return false;
  }
  watch.cpu_switch = watch.asked_switch;
  return RunsStill(p, m) && StandIn(p, /*computes=*/true);
}

void FreeQueueBehind(P* p, std::uint64_t now) {
  P::Watch& watch = p->watch;
  if (watch.queue_freed || now < watch.asked_ns + base::kForeignAfterNs) return;
  if (p->solo.load(std::memory_order_relaxed)) return;
  watch.queue_freed = true;
  sched::MakeGlobal(p);
}

bool IsStillStuck(P* p, std::uint64_t now) {
  const M* m = p->m.load(std::memory_order_acquire);
  if (m == nullptr || !RunsStill(p, m)) return false;
  if (p->watch.computes) return true;
  if (now < p->watch.cpu_at_ns + base::kStuckLookNs) return true;
  return !Computes(p, m, now);
}

std::uint64_t RetireSpares(std::uint64_t now, P** ask) {
  *ask = nullptr;
  const int spares = g_sched.spare_ps.load(std::memory_order_relaxed);
  if (spares == 0) return base::kNever;
  const int procs = g_sched.procs.load(std::memory_order_relaxed);
  int stuck = 0;
  for (int i = 0; i < procs; ++i) stuck += g_sched.all_ps[i]->watch.stuck;
  P* last = g_sched.all_ps[procs - 1];
  if (spares <= stuck || last->watch.stuck) return base::kNever;
  if (!sched::RetireSpareP(stuck) && last->spare) *ask = last;
  return now + base::kStuckAfterNs;
}

}  // namespace urge::sysmon

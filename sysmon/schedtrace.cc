#include "sysmon/schedtrace.h"

#include <unistd.h>

#include "runtime/base/print.h"
#include "runtime/sched/sched.h"

namespace urge::sysmon {
namespace {

using sched::G;
using sched::g_sched;
using sched::M;
using sched::P;

constinit std::uint64_t g_started_ns = 0;
constinit std::uint64_t g_next_ns = 0;

int CountLocked(int& idle_threads) {
  base::RuntimeLock lock(g_sched.lock);
  idle_threads = g_sched.idle_ms.size();
  return g_sched.threads;
}

void PrintDetail(base::RawWriter& out) {
  const int procs = g_sched.procs.load(std::memory_order_relaxed);
  for (int i = 0; i < procs; ++i) {
    const P* p = g_sched.all_ps[i];
    const M* m = p->m.load(std::memory_order_acquire);
    out << "  P" << i << ": status=" << static_cast<unsigned>(p->status.load())
        << " schedtick=" << p->tick.load() << " syscalltick=" << p->syscall_tick.load() << " m=";
    if (m == nullptr) {
      out << "nil";
    } else {
      out << m->id;
    }
    out << " runqsize=" << p->queue.Size() << "\n";
  }
  for (const M* m = g_sched.all_ms.load(std::memory_order_acquire); m != nullptr; m = m->all_next) {
    const G* gp = m->curg.load(std::memory_order_relaxed);
    out << "  M" << m->id << ": tid=" << m->tid << " curg=" << (gp == nullptr ? 0 : gp->goid)
        << " spinning=" << m->spinning << "\n";
  }
  for (const G* gp = sched::FirstGoroutine(); gp != nullptr; gp = gp->all_next) {
    const sched::GStatus status = gp->status.load(std::memory_order_relaxed);
    if (status == sched::GStatus::kDead || status == sched::GStatus::kIdle) continue;
    out << "  G" << gp->goid << ": status=" << sched::Name(status);
    if (status == sched::GStatus::kWaiting) {
      out << "(" << sched::Name(gp->wait_reason.load(std::memory_order_relaxed)) << ")";
    }
    out << "\n";
  }
}

}  // namespace

std::uint64_t TraceScheduler(std::uint64_t now) {
  const std::uint64_t period = g_sched.settings.schedtrace_ns;
  if (period == 0) return base::kNever;
  if (g_started_ns == 0) {
    g_started_ns = now;
    g_next_ns = now + period;
  }
  if (now < g_next_ns) return g_next_ns;
  g_next_ns = now + period;
  int idle_threads;
  const int threads = CountLocked(idle_threads);
  base::RawWriter out(STDERR_FILENO);
  const int procs = g_sched.procs.load(std::memory_order_relaxed);
  out << "SCHED " << (now - g_started_ns) / 1'000'000 << "ms: procs=" << procs
      << " idleprocs=" << g_sched.idle_ps.load() << " threads=" << threads
      << " spinningthreads=" << g_sched.spinning.load() << " idlethreads=" << idle_threads
      << " runqueue=" << g_sched.global_size.load() << " [";
  for (int i = 0; i < procs; ++i) {
    out << (i == 0 ? "" : " ") << g_sched.all_ps[i]->queue.Size();
  }
  out << "]\n";
  if (g_sched.settings.scheddetail) PrintDetail(out);
  return g_next_ns;
}

}  // namespace urge::sysmon

#include "sysmon/waits.h"

#include "runtime/base/config.h"
#include "runtime/sched/sched.h"

namespace urge::sysmon {
namespace {

using sched::G;
using sched::g_sched;
using sched::GStatus;

constexpr int kPart = 512;  // some 50 us
constexpr std::uint64_t kPauseNs = 1'000'000;

// sysmon's own.
constinit G* g_at = nullptr;  // the next one to look at; null between two rounds
constinit std::uint64_t g_due_ns = 0;
constinit std::uint64_t g_switches = 0;  // of all Ps when the last round began
constinit bool g_quiet = true;           // nothing has run since

std::uint64_t CountSwitches() {
  std::uint64_t sum = 0;
  for (int i = 0; i < g_sched.procs.load(std::memory_order_acquire); ++i) {
    sum += g_sched.all_ps[i]->switches.load(std::memory_order_relaxed);
  }
  return sum;
}

void Date(G* gp, std::uint64_t now) {
  const GStatus status = gp->status.load(std::memory_order_relaxed);
  if (status != GStatus::kWaiting && status != GStatus::kSyscall) return;
  std::uint64_t undated = 0;
  if (gp->wait_since_ns.load(std::memory_order_relaxed) == 0) {
    gp->wait_since_ns.compare_exchange_strong(undated, now, std::memory_order_relaxed);
  }
}

}  // namespace

std::uint64_t DateWaits(std::uint64_t now) {
  if (g_at == nullptr) {
    if (g_quiet) {
      if (CountSwitches() == g_switches) return base::kNever;
      g_quiet = false;
      g_due_ns = now + base::kDateWaitsNs;
    }
    if (now < g_due_ns) return g_due_ns;
    g_switches = CountSwitches();
    g_at = sched::FirstGoroutine();
  }
  for (int i = 0; i < kPart && g_at != nullptr; ++i, g_at = g_at->all_next) Date(g_at, now);
  if (g_at != nullptr) return now + kPauseNs;
  g_due_ns = now + base::kDateWaitsNs;
  g_quiet = CountSwitches() == g_switches;
  return g_quiet ? base::kNever : g_due_ns;
}

}  // namespace urge::sysmon

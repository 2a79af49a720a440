#include "sysmon/deadlock.h"

#include <dirent.h>

#include "runtime/base/check.h"
#include "runtime/base/config.h"
#include "runtime/sched/sched.h"

namespace urge::sysmon {
namespace {

using sched::g_sched;

// Since when the suspicion has held; 0: none. sysmon's own.
constinit std::uint64_t g_since_ns = 0;

// Threads of this process, or -1 if it can't be told.
int CountThreads() {
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return -1;
  int n = 0;
  while (const dirent* entry = readdir(tasks)) n += entry->d_name[0] != '.';
  closedir(tasks);
  return n;
}

}  // namespace

std::uint64_t LookForDeadlock(std::uint64_t now) {
  if (!g_sched.suspect_deadlock.load(std::memory_order_acquire)) return base::kNever;
  if (g_since_ns == 0) g_since_ns = now;
  const std::uint64_t due = g_since_ns + base::kDeadlockSettleNs;
  if (now < due) return due;
  g_since_ns = 0;
  g_sched.suspect_deadlock.store(false, std::memory_order_release);
  std::int32_t threads;
  {
    base::RuntimeLock lock(g_sched.lock);
    if (!sched::AllAsleepLocked()) return base::kNever;
    threads = g_sched.threads + g_sched.service_threads.load(std::memory_order_relaxed) +
              g_sched.blocked_threads.load(std::memory_order_relaxed);
  }
  if (CountThreads() == threads) base::FatalWithAll("all goroutines are asleep - deadlock!");
  return base::kNever;
}

}  // namespace urge::sysmon

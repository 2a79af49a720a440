#include "runtime/preempt/stop_the_world.h"

#include <urge/go.h>
#include <urge/runtime.h>

#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "runtime/preempt/request.h"
#include "runtime/sched/park.h"
#include "runtime/sched/start.h"
#include "runtime/sched/switch.h"

namespace urge::preempt {

using sched::g_sched;
using sched::M;
using sched::P;
using sched::PreemptReason;
using sched::PStatus;

namespace {

// One stop at a time. A goroutine that waits for it yields, since the holder may need its P.
constinit std::atomic<bool> g_world_held{false};

void TakeWorld() {
  while (g_world_held.exchange(true, std::memory_order_acquire)) yield();
}

// Ps that are nobody's are taken on the spot; returns how many running ones remain.
std::int32_t TakeFreePsLocked(const P* own) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_sched.lock) {
  g_sched.stop_wait = g_sched.procs.load(std::memory_order_relaxed);
  if (own != nullptr) --g_sched.stop_wait;
  while (P* p = sched::TakeIdlePLocked()) {
    p->status.store(PStatus::kStopped, std::memory_order_relaxed);
    --g_sched.stop_wait;
  }
  for (int i = 0; i < g_sched.procs.load(std::memory_order_relaxed); ++i) {
    sched::StopSyscallPLocked(g_sched.all_ps[i]);
  }
  return g_sched.stop_wait;
}

void AskAll(const P* own) {
  for (int i = 0; i < g_sched.procs.load(std::memory_order_relaxed); ++i) {
    P* p = g_sched.all_ps[i];
    if (p != own && p->status.load(std::memory_order_relaxed) == PStatus::kRunning) {
      RequestPreemption(p, PreemptReason::kStop);
    }
  }
}

}  // namespace

bool StopTheWorld(std::uint64_t deadline_ns) {
  TakeWorld();
  sched::Record(trace::EventKind::kWorldStop);
  const M* m = sched::CurrentM();
  P* own = m == nullptr ? nullptr : m->p;
  // Or it would wait for the world to go on, which is its own to say.
  if (sched::G* gp = sched::CurrentG()) {
    ++gp->keeps_p;
    gp->marked_by_use = true;
  }
  std::int32_t wait;
  {
    base::RuntimeLock lock(g_sched.lock);
    g_sched.stop_note.store(0, std::memory_order_relaxed);
    // seq_cst: before the look at each P's status; pairs with EnterSyscall.
    g_sched.stop_requested.store(true, std::memory_order_seq_cst);
    if (own != nullptr) own->status.store(PStatus::kStopped, std::memory_order_relaxed);
    wait = TakeFreePsLocked(own);
  }
  const std::uint64_t end = base::NowNs() + deadline_ns;
  while (wait > 0) {
    AskAll(own);
    base::FutexWaitUntil(&g_sched.stop_note, 0, base::NowNs() + base::kStopTheWorldRetryNs);
    base::RuntimeLock lock(g_sched.lock);
    wait = g_sched.stop_wait;
    if (base::NowNs() >= end) break;
  }
  sched::Record(trace::EventKind::kWorldStopped, wait == 0);
  return wait == 0;
}

void StartTheWorld() {
  M* m = sched::CurrentM();
  P* own = m == nullptr ? nullptr : m->p;
  if (sched::G* gp = sched::CurrentG()) --gp->keeps_p;
  P* with_work = nullptr;
  sched::Record(trace::EventKind::kWorldStart);
  {
    base::RuntimeLock lock(g_sched.lock);
    g_sched.stop_requested.store(false, std::memory_order_seq_cst);
    for (int i = g_sched.procs.load(std::memory_order_relaxed) - 1; i >= 0; --i) {
      P* p = g_sched.all_ps[i];
      p->attention.fetch_and(~std::uint32_t{sched::kAttendStop}, std::memory_order_relaxed);
      if (p == own || p->status.load(std::memory_order_relaxed) != PStatus::kStopped) continue;
      if (p->queue.Empty()) {
        sched::PutIdlePLocked(p);
      } else {
        p->link = with_work;
        with_work = p;
      }
    }
    if (own != nullptr) own->status.store(PStatus::kRunning, std::memory_order_release);
  }
  while (with_work != nullptr) {
    P* p = std::exchange(with_work, with_work->link);
    p->link = nullptr;
    sched::StartM(p, false);
  }
  // Something may wait on the global queue, or in timers that nobody minds now.
  sched::WakePIfIdle();
  if (g_sched.hooks.wake_sysmon != nullptr) g_sched.hooks.wake_sysmon();
  g_world_held.store(false, std::memory_order_release);
}

}  // namespace urge::preempt

namespace urge {

int procs() {
  sched::EnsureStarted();
  return sched::WantedProcs();
}

int set_procs(int n) {
  if (n < 1 || n > base::kMaxProcs) {
    throw std::invalid_argument("urge::set_procs(" + std::to_string(n) + "): allowed are 1 to " +
                                std::to_string(base::kMaxProcs));
  }
  sched::EnsureStarted();
  const bool stopped = preempt::StopTheWorld();
  const int before = sched::WantedProcs();
  bool resized = true;
  if (stopped && (n != before || sched::g_sched.procs.load(std::memory_order_relaxed) != n)) {
    // The goroutine and its thread are the same throughout: nothing here switches.
    sched::M* m = sched::CurrentM();
    sched::P* own = m == nullptr ? nullptr : m->p;
    resized = sched::ResizeProcs(n, own);
    if (resized && own != nullptr && own->id >= n) sched::ExchangeForFirstP(m);
  }
  preempt::StartTheWorld();
  if (!stopped) {
    throw std::system_error(std::make_error_code(std::errc::timed_out),
                            "urge::set_procs: a goroutine could not be stopped");
  }
  if (!resized) throw std::bad_alloc();
  return before;
}

std::size_t goroutines() { return sched::CountGoroutines(); }

}  // namespace urge

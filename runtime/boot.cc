// The composition root: builds the runtime out of its layers, in order, once per process.

#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <system_error>

#include <urge/preempt.h>
#include <urge/runtime.h>

#include "absl/synchronization/mutex.h"
#include "runtime/base/print.h"
#include "runtime/base/sanitizer.h"
#include "runtime/base/ticks.h"
#include "runtime/environment.h"
#include "runtime/observe/server.h"
#include "runtime/preempt/map.h"
#include "runtime/preempt/request.h"
#include "runtime/preempt/signal.h"
#include "runtime/preempt/stop_the_world.h"
#include "runtime/preempt/thread_bound.h"
#include "runtime/preempt/xstate.h"
#include "runtime/recorder/recorder.h"
#include "runtime/sched/current.h"
#include "runtime/sched/start.h"
#include "runtime/traceback/clerk.h"
#include "runtime/traceback/fatal.h"
#include "runtime/traceback/profile.h"
#include "runtime/traceback/stall_report.h"
#include "sysmon/sysmon.h"

namespace urge {
namespace sched {

constinit std::atomic<bool> g_started{false};

}  // namespace sched

namespace {

ABSL_CONST_INIT absl::Mutex g_start_mutex(absl::kConstInit);
constinit bool g_sysmon_started = false;
constinit bool g_forked = false;
constinit bool g_print_thread_bound = false;

// In the child of a fork only the forking thread lives: goroutines can't run there. The thread is
// from now on a plain one, which may exec or exit; starting goroutines is refused.
void AfterForkInChild() {
  if (!sched::g_started.load(std::memory_order_relaxed)) return;
  g_forked = true;
  sched::g_started.store(false, std::memory_order_relaxed);
  sched::SetGuardWord(0);
  urge_current_m = nullptr;
  traceback::ForgetClerk();
  traceback::ForgetProfile();
}

void ThreadStarts(sched::M* m) {
  preempt::PrepareThread(m);
  traceback::ProfileThread(m);
}
void ThreadExits(sched::M* m) {
  traceback::UnprofileThread(m);
  preempt::ForgetThread(m);
}

// exit() destroys static objects: no goroutine may run under the destructors. Best effort: what
// can't be stopped in this time goes on until the process is gone.
void AtExit() {
  constexpr std::uint64_t kDeadlineNs = 100'000'000;
  if (!sched::g_started.load(std::memory_order_relaxed)) return;
  preempt::StopTheWorld(kDeadlineNs);
  if (g_print_thread_bound) preempt::PrintThreadBound(STDERR_FILENO);
  traceback::FinishProfile();
  traceback::PrintStalls();
  traceback::PrintSuppressedStalls();
}

// Is the thread under CET shadow stacks? They would end the process at the first switch.
// RDSSPQ leaves its operand alone where they are off or unknown to the processor.
bool HasShadowStack() {
  std::uint64_t ssp = 0;
  asm volatile("rdsspq %0" : "+r"(ssp));
  return ssp != 0;
}

// Whoever runs the program asked for it; that it can't be had is no reason not to run.
void ServeMetrics(const std::string& address) {
  try {
    observe::Serve(address);
  } catch (const std::exception& e) {
    base::RawWriter(STDERR_FILENO) << e.what() << " (URGE_METRICS)\n";
  }
}

void StartLocked(const options& options) ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_start_mutex) {
  if (g_forked) {
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "urge: goroutines can't be used in a forked child");
  }
  if (HasShadowStack()) {
    throw std::system_error(std::make_error_code(std::errc::not_supported),
                            "urge: goroutines have no shadow stacks; run without them "
                            "(GLIBC_TUNABLES=glibc.cpu.x86_shstk=off)");
  }
  StartPlan plan = PlanStart(options);
  base::FindSanitizers();
  // ThreadSanitizer puts signals off until the thread calls into its runtime, where nothing is
  // preempted: code there is stopped by the prologue's mark alone.
  if (base::HasTsan()) plan.settings.async_preempt = false;
  if (!base::RegisterMembarrier()) {
    throw std::system_error(errno, std::generic_category(),
                            "urge: membarrier(2) is needed (Linux 4.14)");
  }
  base::InitTicks();
  preempt::InitXState();
  if (!preempt::PreemptionMap::Rebuild()) throw std::bad_alloc();
  g_print_thread_bound = plan.print_thread_bound;
  if (plan.print_preemption_map) preempt::PreemptionMap::Print(STDERR_FILENO);
  pthread_sigmask(SIG_SETMASK, nullptr, &sched::g_sched.base_mask);
  sigdelset(&sched::g_sched.base_mask, plan.settings.preempt_signal);
  sched::Hooks hooks;
  hooks.thread_started = ThreadStarts;
  hooks.thread_exiting = ThreadExits;
  hooks.request_preemption = preempt::RequestPreemption;
  hooks.slice_begins = plan.settings.async_preempt ? preempt::ArmSliceTimer : nullptr;
  hooks.wake_sysmon = sysmon::Wake;
  sched::InitScheduler(plan.settings, hooks, plan.procs);
  preempt::InstallSignalHandler();
  if (!g_sysmon_started) {
    sysmon::Start();
    g_sysmon_started = true;
    traceback::Install();
    recorder::Install(plan.recorder);
    std::atexit(AtExit);
    pthread_atfork(nullptr, nullptr, AfterForkInChild);
  }
  if (plan.serve_metrics) ServeMetrics(plan.metrics_address);
  // release: pairs with EnsureStarted's acquire.
  sched::g_started.store(true, std::memory_order_release);
  if (plan.settings.stall_ns != 0) traceback::InstallStallReports();
  if (!plan.profile_path.empty()) {
    traceback::StartProfileFromEnvironment(plan.profile_path, plan.profile_hz);
  }
}

}  // namespace

void start(const options& options) {
  absl::MutexLock lock(&g_start_mutex);
  if (sched::g_started.load(std::memory_order_relaxed)) {
    throw std::logic_error("urge::start: the runtime is already running");
  }
  StartLocked(options);
}

void sched::StartWithDefaults() {
  absl::MutexLock lock(&g_start_mutex);
  if (!sched::g_started.load(std::memory_order_relaxed)) StartLocked(options{});
}

bool allow_preemption(std::string_view module) {
  return preempt::PreemptionMap::AllowModule(module);
}

bool deny_preemption(std::string_view symbol_pattern) {
  return preempt::PreemptionMap::DenySymbols(symbol_pattern);
}

}  // namespace urge

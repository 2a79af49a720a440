#include "runtime/preempt/signal.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "runtime/base/sanitizer.h"
#include "runtime/base/ticks.h"
#include "runtime/preempt/foreign_handler.h"
#include "runtime/preempt/map.h"
#include "runtime/preempt/request.h"
#include "runtime/preempt/stall.h"
#include "runtime/preempt/xstate.h"
#include "runtime/sched/current.h"
#include "runtime/sched/record.h"

namespace urge::preempt {

using sched::G;
using sched::M;
using sched::P;
using trace::Counter;

namespace {

// What urge_async_preempt_park and the switch need on the goroutine's stack above the frame.
constexpr std::size_t kParkStackBytes = 2048;
// Room for our handler, a signal frame with AMX state, and a user's handler that asks for the
// alternate stack.
constexpr std::size_t kSignalStackBytes = 64 * 1024;

// What strangers' signals go on to.
constinit ForeignHandler g_foreign;
constinit std::atomic<bool> g_unknown_text{false};
// The address of this is the value of every signal we send.
constinit char g_token = 0;

std::uint64_t MaskWord(const sigset_t& set) {
  // The kernel's signal set is the first 64 bits.
  std::uint64_t word;
  std::memcpy(&word, &set, sizeof(word));
  return word;
}

// The verdict on an interrupted context: kCount if injection is safe, else why not.
Counter Decide(const M* m, const G* gp, const ucontext_t& context) {
  // Sent for the sake of NoteVerdict alone.
  if (!sched::g_sched.settings.async_preempt) return Counter::kDeferNotWanted;
  if (gp == nullptr || m->p == nullptr ||
      gp->status.load(std::memory_order_relaxed) != sched::GStatus::kRunning ||
      !gp->preempt.load(std::memory_order_acquire)) {
    return Counter::kDeferNotWanted;
  }
  if (gp->no_preempt != 0) return Counter::kDeferNoPreempt;
  const auto sp = static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP]);
  if (!gp->stack.Contains(sp)) return Counter::kDeferForeignStack;
  if (sp - gp->stack.lo < AsyncPreemptStackBytes(context) + kParkStackBytes) {
    return Counter::kDeferNoRoom;
  }
  if (MaskWord(context.uc_sigmask) != MaskWord(m->base_mask)) return Counter::kDeferSignalMask;
  const auto pc = static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
  switch (PreemptionMap::Classify(pc)) {
    case TextKind::kPreemptible:
    case TextKind::kPure:
      return Counter::kCount;
    case TextKind::kRuntime:
      return Counter::kDeferRuntime;
    case TextKind::kDenied:
      return Counter::kDeferDenied;
    case TextKind::kUnknown:
      g_unknown_text.store(true, std::memory_order_relaxed);
      return Counter::kDeferOpaque;
    case TextKind::kOpaque:
    case TextKind::kCallsBack:
      break;
  }
  return Counter::kDeferOpaque;
}

// Is the goroutine in a place that it leaves soon, for all that is known? A call that blocks would
// be disturbed again and again for nothing: that is left to sysmon.
bool WorthRetrying(Counter verdict, const ucontext_t& context) {
  return (verdict == Counter::kDeferOpaque || verdict == Counter::kDeferDenied ||
          verdict == Counter::kDeferRuntime) &&
         !WasInSystemCall(static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]));
}

// Has this thread's own timer send the signal again: no other thread need be woken for it, and it
// comes sooner than sysmon, which has to be sparing.
void RetryByTimer(M* m) {
  if (!m->has_slice_timer) return;
  const std::uint64_t chance = base::Ticks() * 0x9e3779b97f4a7c15u >> 40;
  // Others have a P that stands in for this one: there is no hurry.
  const bool stood_in = m->p != nullptr && (m->p->attention.load(std::memory_order_relaxed) &
                                            sched::kAttendMoved) != 0;
  const std::uint64_t least = stood_in ? base::kForeignRetryNs : base::kSelfRetryNs;
  const std::uint64_t delay = least + chance % least;
  m->slice_timer_ns = 0;
  const itimerspec spec{{0, 0}, {0, static_cast<long>(delay)}};
  timer_settime(m->slice_timer, 0, &spec, nullptr);
}

// Leaves the goroutine's own next prologue, or the end of the call that it is in, to answer. On its
// own thread, which can't go on to another goroutine meanwhile, this needs no lock; where it
// interrupts a switch it may be overwritten, as any mark. It comes after the signal and is no stage
// of its own (trace/stages.h): it ends in the answer.
void MarkSelf(G* gp) {
  if (!sched::g_sched.settings.cooperative_preempt) return;
  gp->guard.store(sched::kStackPreempt, std::memory_order_relaxed);
  sched::SetGuardWord(sched::kStackPreempt);
  trace::AddShared(Counter::kMarks);
}

void Inject(ucontext_t& context) {
  greg_t* regs = context.uc_mcontext.gregs;
  auto sp = static_cast<std::uintptr_t>(regs[REG_RSP]);
  sp -= URGE_RED_ZONE_BYTES + sizeof(std::uint64_t);
  if (URGE_UNLIKELY(base::HasValgrind())) {
    base::LowerStackForValgrind(sp + URGE_RED_ZONE_BYTES + sizeof(std::uint64_t), sp);
  }
  *reinterpret_cast<std::uint64_t*>(sp) = static_cast<std::uint64_t>(regs[REG_RIP]);
  regs[REG_RSP] = static_cast<greg_t>(sp);
  regs[REG_RIP] = reinterpret_cast<greg_t>(&urge_async_preempt);
}

// The slice timer of this thread: makes the request that sysmon would have made, if the slice is
// over and somebody waits.
void RequestAtSliceEnd(M* m, G* gp, std::uint64_t entered_ticks) {
  const std::uint64_t now = base::NowNs();
  if (const std::uint64_t due = std::exchange(m->slice_timer_ns, 0); due != 0 && now >= due) {
    trace::RecordShared(trace::Latency::kSliceTimerDelivery, now - due);
  }
  P* p = m->p;
  if (gp == nullptr || p == nullptr ||
      gp->status.load(std::memory_order_relaxed) != sched::GStatus::kRunning) {
    return;
  }
  if (p->slice_tick.load(std::memory_order_relaxed) != p->tick.load(std::memory_order_relaxed)) {
    return;  // another slice has begun since
  }
  const std::uint64_t end =
      p->slice_start_ns.load(std::memory_order_relaxed) + sched::g_sched.settings.slice_ns;
  if (now < end) return;
  const bool waiters =
      !p->queue.Empty() || sched::g_sched.global_size.load(std::memory_order_relaxed) != 0;
  if (!waiters) return;
  const std::uint64_t due_ticks = base::Ticks() - base::TicksOfNs(now - end);
  if (NoteRequest(m, p, gp, sched::PreemptReason::kSlice, std::min(due_ticks, entered_ticks),
                  entered_ticks)) {
    trace::RequestStamps::Once(m->request.signalled, entered_ticks);
  }
}

void OnSignal(int signal, siginfo_t* info, void* raw_context) {
  ClearAlignmentCheck();
  const std::uint64_t entered_ticks = base::Ticks();
  const int saved_errno = errno;
  M* m = sched::CurrentM();
  const bool ours = info->si_value.sival_ptr == &g_token &&
                    (info->si_code == SI_QUEUE || info->si_code == SI_TIMER);
  // Ordinary signals of one number merge while they are pending: a stranger's may stand for one of
  // ours. And ours lose their value when the user's allowance of queued signals
  // (RLIMIT_SIGPENDING) is used up.
  const bool awaited = m != nullptr && m->signal_pending.load(std::memory_order_relaxed) != 0;
  const bool nameless = awaited && info->si_code == SI_USER && info->si_pid == 0;
  if (!ours && !nameless) g_foreign.Call(signal, info, raw_context);
  if (m != nullptr && (ours || awaited)) {
    ucontext_t& context = *static_cast<ucontext_t*>(raw_context);
    G* gp = m->curg.load(std::memory_order_relaxed);
    // Whichever it was; see above.
    // release: whoever sends the next one sees this handler's view of the request as done.
    m->signal_pending.store(0, std::memory_order_release);
    if (ours && info->si_code == SI_TIMER) {
      trace::AddShared(Counter::kTimerSignals);
      RequestAtSliceEnd(m, gp, entered_ticks);
    }
    sched::RecordAt(entered_ticks, trace::EventKind::kPreemptHandle, info->si_code == SI_TIMER,
                    gp == nullptr ? 0 : gp->goid);
    NoteInterruptedCall(m, context);
    trace::RequestStamps::Once(m->request.handled, entered_ticks);
    const Counter verdict = Decide(m, gp, context);
    NoteVerdict(m, gp, verdict, context);
    if (WorthRetrying(verdict, context)) {
      MarkSelf(gp);
      RetryByTimer(m);
    }
    if (verdict == Counter::kCount) {
      m->stopped_ticks = base::Ticks();
      Inject(context);
    } else {
      NoteDeferral(m, gp, verdict, entered_ticks,
                   static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]));
    }
  }
  errno = saved_errno;
}

}  // namespace

void InstallSignalHandler() {
  struct sigaction action {};
  action.sa_sigaction = OnSignal;
  // SA_RESTART: interrupted system calls go on. The full mask: no other handler of this thread
  // may run between the decision and rt_sigreturn.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigfillset(&action.sa_mask);
  struct sigaction previous {};
  if (sigaction(sched::g_sched.settings.preempt_signal, &action, &previous) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "urge: can't install the preemption signal's handler");
  }
  // Ours if an earlier attempt to start failed after this.
  if (previous.sa_sigaction != OnSignal) g_foreign.Set(previous);
  ShareSignal(sched::g_sched.settings.preempt_signal, &g_foreign);
}

bool FitsSignalStack(std::size_t bytes) {
  return bytes >= std::size_t{2048} /* MINSIGSTKSZ */ && bytes <= kSignalStackBytes;
}

void PrepareThread(M* m) {
  void* stack = mmap(nullptr, kSignalStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) base::FatalErrno("no memory for a signal stack", errno);
  // Touched now: on Linux 5.2 an unfaulted signal stack corrupted vector registers.
  for (std::size_t i = 0; i < kSignalStackBytes; i += base::kPageBytes) {
    static_cast<volatile char*>(stack)[i] = 0;
  }
  m->signal_stack = stack;
  stack_t ss{};
  ss.ss_sp = stack;
  ss.ss_size = kSignalStackBytes;
  if (sigaltstack(&ss, &m->previous_signal_stack) != 0)
    base::FatalErrno("can't set a signal stack", errno);

  if (!sched::g_sched.settings.async_preempt) return;
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = sched::g_sched.settings.preempt_signal;
  event.sigev_value.sival_ptr = &g_token;
  event._sigev_un._tid = m->tid;
  // Without a timer sysmon does it all.
  m->has_slice_timer = timer_create(CLOCK_MONOTONIC, &event, &m->slice_timer) == 0;
}

void ForgetThread(M* m) {
  if (m->has_slice_timer) timer_delete(m->slice_timer);
  m->has_slice_timer = false;
  // AddressSanitizer gives each thread one, and takes it back when the thread ends.
  sigaltstack(&m->previous_signal_stack, nullptr);
  munmap(m->signal_stack, kSignalStackBytes);
  m->signal_stack = nullptr;
  m->signal_pending.store(0, std::memory_order_relaxed);
}

namespace {

void SendLocked(M* m) ABSL_EXCLUSIVE_LOCKS_REQUIRED(m->mark_lock) {
  if (m->gone) return;
  std::uint32_t none = 0;
  // acquire: pairs with the handler's release.
  if (!m->signal_pending.compare_exchange_strong(none, 1, std::memory_order_acquire)) return;
  siginfo_t info{};
  info.si_signo = sched::g_sched.settings.preempt_signal;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = &g_token;
  const std::uint64_t sent_ticks = base::Ticks();
  if (syscall(SYS_rt_tgsigqueueinfo, info.si_pid, m->tid, info.si_signo, &info) != 0) {
    // EAGAIN: the queue of pending signals is full; whoever asked asks again.
    m->signal_pending.store(0, std::memory_order_relaxed);
    return;
  }
  trace::RequestStamps::Once(m->request.signalled, sent_ticks);
  trace::AddShared(Counter::kSignalsSent);
  if (URGE_UNLIKELY(trace::Recording())) {
    const G* gp = m->curg.load(std::memory_order_relaxed);
    const P* p = m->p;
    sched::RecordAt(sent_ticks, trace::EventKind::kPreemptSignal, 0, gp == nullptr ? 0 : gp->goid,
                    p == nullptr ? ~std::uint64_t{0} : static_cast<std::uint64_t>(p->id));
  }
}

}  // namespace

void SendPreemptSignal(M* m) {
  base::RuntimeLock lock(m->mark_lock);
  SendLocked(m);
}

bool TrySendPreemptSignal(M* m) {
  if (!m->mark_lock.TryLock()) return false;
  SendLocked(m);
  m->mark_lock.Unlock();
  return true;
}

void NoteInterruptedCall(M* m, const ucontext_t& context) {
  if (!m->in_call.load(std::memory_order_relaxed)) return;
  const greg_t* regs = context.uc_mcontext.gregs;
  if (regs[REG_RAX] != -EINTR) return;
  const auto* behind = reinterpret_cast<const unsigned char*>(regs[REG_RIP]);
  constexpr unsigned char kSyscall[] = {0x0f, 0x05};
  if (std::memcmp(behind - sizeof(kSyscall), kSyscall, sizeof(kSyscall)) == 0) {
    m->cut_short.store(true, std::memory_order_relaxed);
  }
}

bool WasInSystemCall(std::uintptr_t pc) {
  constexpr std::array<unsigned char, 2> kSyscall = {0x0f, 0x05};
  const auto is_at = [&](std::uintptr_t at) {
    return PreemptionMap::Classify(at) != TextKind::kUnknown &&
           std::memcmp(reinterpret_cast<const void*>(at), kSyscall.data(), kSyscall.size()) == 0;
  };
  return is_at(pc - kSyscall.size()) || is_at(pc);
}

bool OnSignalStack(const M* m) {
  const auto base = reinterpret_cast<std::uintptr_t>(m->signal_stack);
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - base < kSignalStackBytes;
}

bool HasBaseMask(const M* m) {
  sigset_t mask;
  sigemptyset(&mask);
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return MaskWord(mask) == MaskWord(m->base_mask);
}

bool TakeUnknownTextSeen() {
  return g_unknown_text.load(std::memory_order_relaxed) &&
         g_unknown_text.exchange(false, std::memory_order_relaxed);
}

namespace {

// Was a signal sent that will never come? Those of one number merge: sent while the timer's is
// pending it is none of its own, and Linux (6.13 and later) drops the timer's when the timer is set
// anew. Whatever is pending is delivered on the way out of a system call, so what is still awaited
// behind one, with no sender under way, is lost.
//
// A retry by the timer (RetryByTimer) can lose one as well, and brings another at once.
[[gnu::noinline]] void ForgetLostSignal(M* m) {
  base::RuntimeLock lock(m->mark_lock);
  syscall(SYS_gettid);
  m->signal_pending.store(0, std::memory_order_relaxed);
}

}  // namespace

void ArmSliceTimer(M* m, std::uint64_t end_ns) {
  if (!m->has_slice_timer) return;
  m->slice_timer_ns = end_ns;
  const itimerspec spec{
      {0, 0},
      {static_cast<time_t>(end_ns / 1'000'000'000u), static_cast<long>(end_ns % 1'000'000'000u)}};
  timer_settime(m->slice_timer, TIMER_ABSTIME, &spec, nullptr);
  if (URGE_UNLIKELY(m->signal_pending.load(std::memory_order_relaxed) != 0)) ForgetLostSignal(m);
}

}  // namespace urge::preempt

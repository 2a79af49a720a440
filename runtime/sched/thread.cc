// Ms and their threads. Source: Go's newm, mstart, mexit.
//
// Threads are born with every signal blocked, so that none finds them half made, and open the mask
// that the program had when it started the runtime. Ms are never freed; one whose thread has ended
// is used again.

#include <cxxabi.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "runtime/base/print.h"
#include "runtime/sched/switch.h"

extern "C" {
__thread urge::sched::M* urge_current_m = nullptr;
}

namespace urge::sched {
namespace {

constinit base::Stack<M, &M::link> g_gone_ms ABSL_GUARDED_BY(g_sched.lock);

// The thread control block's word for split stacks; see current.h.
std::atomic<std::uintptr_t>* OwnGuardWord() {
  std::uintptr_t fs_base;
  asm("movq %%fs:0, %0" : "=r"(fs_base));
  return reinterpret_cast<std::atomic<std::uintptr_t>*>(fs_base + 0x70);
}

[[noreturn]] void FatalNoThread(std::int32_t threads, int error) {
  base::RawWriter(STDERR_FILENO) << "urge: failed to create new OS thread (have " << threads
                                 << " already; errno=" << error << ")\n";
  base::FatalErrno("can't create a thread for the scheduler", error);
}

void LeaveThread(M* m) {
  P* p = m->p == nullptr ? nullptr : ReleaseP(m);
  if (p != nullptr) HandOffP(p);
  Record(EventKind::kThreadExit);
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  {
    // From here on nobody marks or signals this thread.
    base::RuntimeLock lock(m->mark_lock);
    m->gone = true;
  }
  g_sched.hooks.thread_exiting(m);
  // glibc reuses the TCB: the word must pass every check in the next thread that gets it.
  SetGuardWord(0);
  urge_current_m = nullptr;
  base::RuntimeLock lock(g_sched.lock);
  --g_sched.threads;
  m->exiting = false;
  g_gone_ms.Push(m);
  CheckAllAsleepLocked();
}

void* ThreadMain(void* arg) {
  M* m = static_cast<M*>(arg);
  urge_current_m = m;
  m->tid = base::Gettid();
  m->thread = pthread_self();
  m->errno_slot = &errno;
  m->eh = reinterpret_cast<EhGlobals*>(abi::__cxa_get_globals());
  m->guard_word = OwnGuardWord();
  m->random = base::NowNs() * 0x9e3779b97f4a7c15u + g_sched.settings.seed +
              static_cast<std::uint64_t>(m->id) * 0xbf58476d1ce4e5b9u + 1;
  // Timed sleeps of the keeper are exact: 26-33 us of overshoot instead of 65-165.
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  g_sched.hooks.thread_started(m);
  {
    base::RuntimeLock lock(m->mark_lock);
    m->gone = false;
  }
  pthread_sigmask(SIG_SETMASK, &m->base_mask, nullptr);
  Record(EventKind::kThreadStart, 0, static_cast<std::uint64_t>(m->tid));
  AcquireP(m, std::exchange(m->next_p, nullptr));
  m->clock_ns = base::NowNs();
  ScheduleLoop(m);
  LeaveThread(m);
  return nullptr;
}

M* NewM() {
  M* m;
  std::int32_t threads;
  {
    base::RuntimeLock lock(g_sched.lock);
    threads = ++g_sched.threads;
    m = g_gone_ms.Pop();
  }
  if (threads > base::kMaxThreads) {
    base::RawWriter(STDERR_FILENO)
        << "urge: program exceeds " << base::kMaxThreads << "-thread limit\n";
    base::Fatal("thread exhaustion");
  }
  if (m != nullptr) return m;
  m = new (std::nothrow) M;
  if (m == nullptr) base::Fatal("out of memory for a thread of the scheduler");
  // acquire: the id of an M that another thread has just made is read.
  M* head = g_sched.all_ms.load(std::memory_order_acquire);
  do {
    m->all_next = head;
    m->id = head == nullptr ? 0 : head->id + 1;
    // release: publishes the M to walkers' acquire.
  } while (!g_sched.all_ms.compare_exchange_weak(head, m, std::memory_order_release,
                                                 std::memory_order_acquire));
  return m;
}

}  // namespace

bool IsThreadOfScheduler(pthread_t thread) {
  for (M* m = g_sched.all_ms.load(std::memory_order_acquire); m != nullptr; m = m->all_next) {
    base::RuntimeLock lock(m->mark_lock);
    if (!m->gone && pthread_equal(m->thread, thread) != 0) return true;
  }
  return false;
}

void StartThread(P* p, bool spinning, G* next, bool inherits) {
  M* m = NewM();
  m->next_g = next;
  m->next_g_inherits = inherits;
  m->next_p = p;
  m->spinning = spinning;
  m->base_mask = g_sched.base_mask;
  trace::AddShared(trace::Counter::kThreadsStarted);

  int error = EAGAIN;
  // The kernel's EAGAIN may pass when other threads are just ending. Go: retryOnEAGAIN
  for (int attempt = 1; error == EAGAIN && attempt <= 20; ++attempt) {
    error = base::StartDetachedThread(ThreadMain, m);
    if (error == EAGAIN) usleep(static_cast<useconds_t>(attempt) * 1000);
  }
  if (error != 0) {
    std::int32_t threads;
    {
      base::RuntimeLock lock(g_sched.lock);
      threads = g_sched.threads - 1;
    }
    FatalNoThread(threads, error);
  }
}

int StartOwnThread(void* (*main)(void*), void* arg, const char* name) {
  // Before there is one: a deadlock isn't seen for a moment, rather than seen where there is none.
  g_sched.own_threads.fetch_add(1, std::memory_order_relaxed);
  const int error = base::StartDetachedThread(main, arg, name);
  if (error != 0) g_sched.own_threads.fetch_sub(1, std::memory_order_relaxed);
  return error;
}

}  // namespace urge::sched

#include "sysmon/schedtrace.h"

#include <sys/mman.h>
#include <unistd.h>

#include <bit>

#include "runtime/base/print.h"
#include "runtime/observe/look.h"
#include "runtime/sched/sched.h"

namespace urge::sysmon {
namespace {

using observe::Peek;
using sched::G;
using sched::g_sched;
using sched::GStatus;
using sched::M;
using sched::P;

constinit std::uint64_t g_started_ns = 0;
constinit std::uint64_t g_next_ns = 0;

// Go's numbers of the states of a goroutine: _Gidle, _Grunnable, _Grunning, _Gsyscall, _Gwaiting,
// _Gdead, _Gpreempted.
unsigned GoNumber(GStatus status) {
  constexpr unsigned kNumbers[] = {0, 1, 2, 3, 4, 6, 9};
  static_assert(std::size(kNumbers) == sched::kGStatusCount);
  return kNumbers[static_cast<unsigned>(status)];
}

const char* Bool(bool value) { return value ? "true" : "false"; }

// A number, or Go's word for a null pointer.
template <class T>
struct OrNil {
  bool is_there;
  T value;
};
template <class T>
base::RawWriter& operator<<(base::RawWriter& out, OrNil<T> number) {
  return number.is_there ? out << number.value : out << "nil";
}
OrNil<std::int32_t> IdOf(const M* m) { return {m != nullptr, m == nullptr ? 0 : m->id}; }
OrNil<std::int32_t> IdOf(const P* p) { return {p != nullptr, p == nullptr ? 0 : p->id}; }
OrNil<std::uint64_t> IdOf(const G* gp) {
  return {gp != nullptr, gp == nullptr ? 0 : Peek(gp->goid)};
}

// Memory for one report: sysmon doesn't allocate. All zero; empty where there is none.
template <class T>
class Pages {
 public:
  explicit Pages(std::size_t count) : bytes_(count * sizeof(T)) {
    void* memory =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) memory_ = static_cast<T*>(memory);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() {
    if (memory_ != nullptr) munmap(memory_, bytes_);
  }

  T* get() const { return memory_; }
  std::size_t size() const { return memory_ == nullptr ? 0 : bytes_ / sizeof(T); }

 private:
  const std::size_t bytes_;
  T* memory_ = nullptr;
};

// Which M a goroutine is on: a hash table with open addressing, at most half full.
class WhereItRuns {
 public:
  explicit WhereItRuns(const M* first)
      : slots_(std::bit_ceil(2 * static_cast<std::size_t>(first == nullptr ? 1 : first->id + 1))) {
    if (slots_.size() == 0) return;
    for (const M* m = first; m != nullptr; m = m->all_next) {
      const G* gp = m->curg.load(std::memory_order_acquire);
      if (gp != nullptr) *Find(gp) = {gp, m};
    }
  }
  const M* operator()(const G* gp) const { return slots_.size() == 0 ? nullptr : Find(gp)->m; }

 private:
  struct Slot {
    const G* gp;
    const M* m;
  };

  // Where gp is, or would be.
  Slot* Find(const G* gp) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = (reinterpret_cast<std::uintptr_t>(gp) / sizeof(G)) & mask;
    while (slots_.get()[i].gp != nullptr && slots_.get()[i].gp != gp) i = (i + 1) & mask;
    return &slots_.get()[i];
  }

  const Pages<Slot> slots_;
};

// One report: what it is made from, so that what it can need is known before it is written.
class Report {
 public:
  explicit Report(std::uint64_t elapsed_ns)
      : elapsed_ns_(elapsed_ns),
        detailed_(g_sched.settings.scheddetail),
        procs_(g_sched.procs.load(std::memory_order_acquire)),
        first_m_(g_sched.all_ms.load(std::memory_order_acquire)),
        first_g_(sched::FirstGoroutine()) {}

  // The lists grow at their heads, so these are all that will be met.
  std::size_t MaxBytes() const {
    std::size_t bytes = 512 + static_cast<std::size_t>(procs_) * 256;
    if (!detailed_) return bytes;
    for (const M* m = first_m_; m != nullptr; m = m->all_next) bytes += 256;
    for (const G* gp = first_g_; gp != nullptr; gp = gp->all_next) bytes += 192;
    return bytes;
  }

  void WriteTo(base::RawWriter& out) const {
    WriteTotals(out);
    if (!detailed_) {
      WriteQueues(out);
      return;
    }
    for (int i = 0; i < procs_; ++i) WriteP(out, g_sched.all_ps[i]);
    for (const M* m = first_m_; m != nullptr; m = m->all_next) WriteM(out, m);
    const WhereItRuns where(first_m_);
    for (const G* gp = first_g_; gp != nullptr; gp = gp->all_next) WriteG(out, gp, where);
  }

 private:
  void WriteTotals(base::RawWriter& out) const {
    std::int32_t threads, idle, wired_idle, stop_wait;
    {
      base::RuntimeLock lock(g_sched.lock);
      threads = g_sched.threads;
      idle = g_sched.idle_ms.size();
      wired_idle = g_sched.locked_idle_ms;
      stop_wait = g_sched.stop_wait;
    }
    threads += g_sched.own_threads.load(std::memory_order_relaxed);
    out << "SCHED " << elapsed_ns_ / 1'000'000 << "ms: gomaxprocs=" << procs_
        << " idleprocs=" << g_sched.idle_ps.load() << " threads=" << threads
        << " spinningthreads=" << g_sched.spinning.load()
        << " needspinning=" << static_cast<int>(g_sched.need_spinning.load())
        << " idlethreads=" << idle << " runqueue=" << g_sched.global_size.load();
    if (!detailed_) return;
    out << " gcwaiting=" << Bool(g_sched.stop_requested.load()) << " nmidlelocked=" << wired_idle
        << " stopwait=" << stop_wait << " sysmonwait=" << Bool(false);
    WriteOurs(out);
  }

  // What Go has no word for, at the end of the first line.
  void WriteOurs(base::RawWriter& out) const {
    out << " spareprocs=" << g_sched.spare_ps.load() << " goroutines=" << sched::CountGoroutines()
        << "\n";
  }

  void WriteQueues(base::RawWriter& out) const {
    for (int i = 0; i < procs_; ++i)
      out << (i == 0 ? " [" : " ") << g_sched.all_ps[i]->queue.Size();
    out << "]";
    for (int i = 0; i < procs_; ++i) {
      out << (i == 0 ? " schedticks=[" : " ") << g_sched.all_ps[i]->tick.load();
    }
    out << "]";
    WriteOurs(out);
  }

  void WriteP(base::RawWriter& out, P* p) const {
    out << "  P" << p->id << ": status=" << static_cast<unsigned>(p->status.load())
        << " schedtick=" << p->tick.load() << " syscalltick=" << p->syscall_tick.load()
        << " m=" << IdOf(p->m.load(std::memory_order_acquire)) << " runqsize=" << p->queue.Size()
        << " gfreecnt=" << p->free.size() << " timerslen=" << p->timers.Size()
        << " switches=" << p->switches.load() << "\n";
  }

  void WriteM(base::RawWriter& out, const M* m) const {
    const G* gp = m->curg.load(std::memory_order_acquire);
    const P* p = Peek(m->p);
    out << "  M" << m->id << ": p=" << IdOf(p) << " curg=" << IdOf(gp)
        << " mallocing=0 throwing=0 preemptoff="
        << (gp != nullptr && Peek(gp->no_preempt) != 0 ? "no_preempt" : "")
        << " locks=" << (gp == nullptr ? 0 : Peek(gp->locks_held)) << " dying=0"
        << " spinning=" << Bool(Peek(m->spinning))
        << " blocked=" << Bool(p == nullptr && gp == nullptr)
        << " lockedg=" << IdOf(Peek(m->lockedg)) << " tid=" << Peek(m->tid) << "\n";
  }

  void WriteG(base::RawWriter& out, const G* gp, const WhereItRuns& where) const {
    const GStatus status = gp->status.load(std::memory_order_relaxed);
    if (status == GStatus::kDead || status == GStatus::kIdle) return;
    const bool runs = status == GStatus::kRunning || status == GStatus::kSyscall;
    const M* runs_on = runs ? where(gp) : nullptr;
    const observe::GoroutineLook who = observe::LookAt(gp);
    out << "  G" << who.goid << ": status=" << GoNumber(status) << "("
        << (status == GStatus::kWaiting
                ? sched::Name(gp->wait_reason.load(std::memory_order_relaxed))
                : "")
        << ") m=" << IdOf(runs_on)
        << " lockedm=" << IdOf(gp->wired_m.load(std::memory_order_relaxed));
    if (who.name[0] != 0) out << " name=" << who.name;
    out << "\n";
  }

  const std::uint64_t elapsed_ns_;
  const bool detailed_;
  const int procs_;
  const M* const first_m_;
  const G* const first_g_;
};

// One write(2) a report, so that nobody's output gets between its lines.
void Print(const Report& report) {
  const Pages<char> memory(report.MaxBytes());
  if (memory.size() == 0) return;  // the next one may find some
  base::RawWriter out(STDERR_FILENO, memory.get(), memory.size());
  report.WriteTo(out);
}

}  // namespace

std::uint64_t TraceScheduler(std::uint64_t now) {
  const std::uint64_t period = g_sched.settings.schedtrace_ns;
  if (period == 0) return base::kNever;
  if (g_started_ns == 0) g_started_ns = now;
  if (now < g_next_ns) return g_next_ns;
  g_next_ns = now + period;
  Print(Report(now - g_started_ns));
  return g_next_ns;
}

}  // namespace urge::sysmon

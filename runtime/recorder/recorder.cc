#include "runtime/recorder/recorder.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <urge/go.h>
#include <urge/trace.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <system_error>

#include "absl/synchronization/mutex.h"
#include "runtime/base/os.h"
#include "runtime/base/print.h"
#include "runtime/recorder/chrome_trace.h"
#include "runtime/recorder/file_trace.h"
#include "runtime/recorder/goroutine_table.h"
#include "runtime/sched/record.h"
#include "runtime/traceback/fatal.h"

namespace urge::recorder {
namespace {

using sched::g_sched;
using trace::Event;

constexpr std::size_t kPathBytes = 4096;

ABSL_CONST_INIT absl::Mutex g_mutex(absl::kConstInit);
constinit bool g_thread_started ABSL_GUARDED_BY(g_mutex) = false;
constinit bool g_flight ABSL_GUARDED_BY(g_mutex) = false;
constinit bool g_exit_hooked ABSL_GUARDED_BY(g_mutex) = false;
FileTrace* g_file ABSL_GUARDED_BY(g_mutex) = nullptr;
constinit std::atomic<bool> g_forked{false};

// For who can't take the mutex: [a] or [c].
char g_flight_file[kPathBytes];            // [c] after Install; empty: none
constinit std::atomic<int> g_file_fd{-1};  // of the trace, while it may be written to
constinit std::atomic<bool> g_dying{false};

// --- Recording on and off ---

void UpdateRecordingLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  const bool wanted = g_flight || g_file != nullptr;
  if (wanted == trace::Recording()) return;
  if (wanted) {
    base::InitTicks();
    if (!trace::shared_ring.Allocate(trace::ring_events.load(std::memory_order_relaxed))) {
      throw std::bad_alloc();
    }
    trace::recording_since.store(base::Ticks(), std::memory_order_relaxed);
  }
  trace::recording.store(wanted, std::memory_order_seq_cst);
  // Ps that come later see to it themselves (AcquireP).
  const int procs = g_sched.procs.load(std::memory_order_acquire);
  for (int i = 0; i < procs; ++i) sched::SyncRecording(g_sched.all_ps[i]);
}

// --- Snapshots ---

bool WriteAll(int fd, const Cause& cause, FunctionNames::Mode mode, int* error) {
  Snapshot snapshot;
  *error = WriteChromeTrace(fd, snapshot.events(), cause, mode);
  return *error == 0;
}

// Writes to a file beside `path`, and gives it that name. Returns 0 or an error number.
// Signal-safe: with kSignalSafe.
int WriteSnapshot(const char* path, const Cause& cause, FunctionNames::Mode mode) {
  char beside[kPathBytes + 8];
  const std::size_t length = strnlen(path, kPathBytes);
  if (length == kPathBytes) return ENAMETOOLONG;
  std::memcpy(beside, path, length);
  std::memcpy(beside + length, ".part", sizeof(".part"));
  const int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return errno;
  int error = 0;
  WriteAll(fd, cause, mode, &error);
  if (close(fd) != 0 && error == 0) error = errno;
  if (error == 0 && rename(beside, path) != 0) error = errno;
  if (error != 0) unlink(beside);
  return error;
}

void SayWritten(const char* path, int error, std::string_view why) {
  base::RawWriter out(STDERR_FILENO);
  if (error == 0) {
    out << "urge: " << why << ": trace written to " << path << "\n";
  } else {
    const char* text = strerrordesc_np(error);
    out << "urge: " << why << ": can't write a trace to " << path << ": "
        << (text != nullptr ? text : "error") << "\n";
  }
}

// The last thing a dying process does.
void OnDeath() {
  if (!trace::Recording() || g_dying.exchange(true)) return;
  const Cause cause{"the process died"};
  if (const int fd = g_file_fd.exchange(-1); fd >= 0) {
    int error;
    WriteAll(fd, cause, FunctionNames::Mode::kSignalSafe, &error);
  }
  if (g_flight_file[0] == 0) return;
  SayWritten(g_flight_file, WriteSnapshot(g_flight_file, cause, FunctionNames::Mode::kSignalSafe),
             "last seconds");
}

void OnSnapshotSignal(int) {
  const int saved_errno = errno;
  trace::Ask(trace::kSnapshotWanted);
  errno = saved_errno;
}

// In the child of a fork nothing is recorded any more, and the files are the parent's.
void AfterForkInChild() {
  g_forked.store(true, std::memory_order_relaxed);
  g_file_fd.store(-1, std::memory_order_relaxed);
  g_flight_file[0] = 0;
  trace::recording.store(false, std::memory_order_relaxed);
}

// --- The thread ---

void ReportStarving() {
  Cause cause{"a goroutine starved"};
  cause.goid = trace::starvation.goid.load(std::memory_order_relaxed);
  cause.waited_ns = trace::starvation.waited_ns.load(std::memory_order_relaxed);
  {
    base::RawWriter out(STDERR_FILENO);
    out << "urge: goroutine " << cause.goid;
    GoroutineTable names;
    names.At(cause.goid);
    names.ReadLivingNames();
    if (const Goroutine* g = names.Find(cause.goid); g != nullptr && !g->Name().empty()) {
      out << " \"" << g->Name() << "\"";
    }
    out << " has waited " << cause.waited_ns / 1'000'000 << " ms for a processor\n";
  }
  SayWritten(g_flight_file, WriteSnapshot(g_flight_file, cause, FunctionNames::Mode::kFull),
             "starvation");
}

void* Main(void*) {
  std::uint64_t quiet_until_ns = 0;  // after a report of starvation; 0: none has been
  for (;;) {
    const std::uint32_t wanted = trace::requests.exchange(0, std::memory_order_acquire);
    if ((wanted & trace::kSnapshotWanted) != 0 && g_flight_file[0] != 0) {
      SayWritten(g_flight_file,
                 WriteSnapshot(g_flight_file, {"asked for by signal"}, FunctionNames::Mode::kFull),
                 "snapshot");
    }
    if ((wanted & trace::kStarvationSeen) != 0) {
      ReportStarving();
      quiet_until_ns = base::NowNs() + base::kStarvationPauseNs;
    }
    std::uint64_t until = base::kNever;
    {
      absl::MutexLock lock(&g_mutex);
      if (g_file != nullptr) {
        g_file->Drain();
        until = base::NowNs() + base::kTraceDrainNs;
      }
    }
    if (quiet_until_ns != 0) {
      if (base::NowNs() >= quiet_until_ns) {
        quiet_until_ns = 0;
        trace::starvation.goid.store(0, std::memory_order_relaxed);
      } else {
        until = std::min(until, quiet_until_ns);
      }
    }
    base::FutexWaitUntil(&trace::requests, 0, until);
  }
}

void StartThreadLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  if (g_thread_started) return;
  if (const int error = sched::StartOwnThread(Main, nullptr, "urge-recorder"); error != 0) {
    throw std::system_error(error, std::generic_category(),
                            "urge: can't start the recorder's thread");
  }
  pthread_atfork(nullptr, nullptr, AfterForkInChild);
  g_thread_started = true;
}

// --- Help for the API ---

// What follows may take long, and blocks the thread: others may have the caller's P meanwhile.
class BlockingRegion {
 public:
  BlockingRegion() { detail::blocking_enter(); }
  ~BlockingRegion() { detail::blocking_leave(); }
  BlockingRegion(const BlockingRegion&) = delete;
  BlockingRegion& operator=(const BlockingRegion&) = delete;
};

[[noreturn]] void FailTo(const char* what, const std::string& path, int error) {
  throw std::system_error(error, std::generic_category(),
                          std::string("urge::") + what + ": can't write " + path);
}

void CheckCall(const char* what, std::string_view path) {
  if (path.empty()) {
    throw std::invalid_argument(std::string("urge::") + what +
                                ": an empty path; the name of a file is needed");
  }
  if (g_forked.load(std::memory_order_relaxed)) {
    throw std::logic_error(std::string("urge::") + what +
                           ": nothing can be recorded in a forked child");
  }
}

// The program ends by exit() without trace_stop().
void AtExit() {
  if (g_forked.load(std::memory_order_relaxed)) return;
  {
    absl::MutexLock lock(&g_mutex);
    if (g_file == nullptr) return;
  }
  try {
    trace_stop();
  } catch (const std::exception& failure) {
    base::RawWriter(STDERR_FILENO) << failure.what() << "\n";
  }
}

}  // namespace

void Install(const Plan& plan) {
  if (plan.ring_bytes != 0) {
    trace::ring_events.store(std::bit_floor(plan.ring_bytes / sizeof(Event)),
                             std::memory_order_relaxed);
  }
  traceback::SetDeathHook(OnDeath);
  if (!plan.WantsFlight()) return;
  const std::string file = plan.flight_file.empty() ? "urge-trace.%p.json" : plan.flight_file;
  std::string expanded;
  for (std::size_t i = 0; i < file.size(); ++i) {
    if (file.compare(i, 2, "%p") == 0) {
      expanded += std::to_string(getpid());
      ++i;
    } else {
      expanded += file[i];
    }
  }
  if (expanded.size() >= kPathBytes) {
    throw std::invalid_argument("urge: URGE_DEBUG's flightrecorder: the file's name is too long");
  }
  std::memcpy(g_flight_file, expanded.c_str(), expanded.size() + 1);
  if (plan.signal != 0) {
    struct sigaction action {};
    action.sa_handler = OnSnapshotSignal;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    sigfillset(&action.sa_mask);
    if (sigaction(plan.signal, &action, nullptr) != 0) {
      throw std::system_error(errno, std::generic_category(),
                              "urge: can't install the handler of URGE_DEBUG's tracesignal");
    }
  }
  absl::MutexLock lock(&g_mutex);
  StartThreadLocked();
  g_flight = true;
  UpdateRecordingLocked();
  trace::starvation_ns.store(plan.starvation_ns, std::memory_order_relaxed);
  trace::starvation_ticks.store(plan.starvation_ns == 0 ? 0 : base::TicksOfNs(plan.starvation_ns),
                                std::memory_order_relaxed);
}

}  // namespace urge::recorder

namespace urge {

using namespace urge::recorder;

void trace_start(std::string_view path) {
  CheckCall("trace_start", path);
  BlockingRegion region;
  absl::MutexLock lock(&g_mutex);
  if (g_file != nullptr) {
    throw std::logic_error("urge::trace_start: a trace is being written to " + g_file->path() +
                           " already; call urge::trace_stop() first");
  }
  auto file = std::make_unique<FileTrace>(std::string(path));
  StartThreadLocked();
  if (!g_exit_hooked) {
    std::atexit(AtExit);
    g_exit_hooked = true;
  }
  g_file = file.get();
  try {
    UpdateRecordingLocked();
  } catch (...) {
    g_file = nullptr;
    throw;
  }
  g_file->Begin();
  g_file_fd.store(file->fd(), std::memory_order_relaxed);
  static_cast<void>(file.release());
  trace::Ask(trace::kLookAgain);
}

void trace_stop() {
  CheckCall("trace_stop", "-");
  BlockingRegion region;
  absl::MutexLock lock(&g_mutex);
  if (g_file == nullptr) {
    throw std::logic_error(
        "urge::trace_stop: no trace is being recorded; urge::trace_start(path) starts one");
  }
  const std::unique_ptr<FileTrace> file(std::exchange(g_file, nullptr));
  UpdateRecordingLocked();
  g_file_fd.store(-1, std::memory_order_relaxed);
  const int error = file->Finish();
  if (error != 0) FailTo("trace_stop", file->path(), error);
}

void flight_recorder_start() {
  CheckCall("flight_recorder_start", "-");
  BlockingRegion region;
  absl::MutexLock lock(&g_mutex);
  const bool before = std::exchange(g_flight, true);
  try {
    UpdateRecordingLocked();
  } catch (...) {
    g_flight = before;
    throw;
  }
}

void flight_recorder_stop() {
  if (g_forked.load(std::memory_order_relaxed)) return;
  BlockingRegion region;
  absl::MutexLock lock(&g_mutex);
  g_flight = false;
  UpdateRecordingLocked();
}

void trace_snapshot(std::string_view path) {
  CheckCall("trace_snapshot", path);
  if (!trace::Recording()) {
    throw std::logic_error(
        "urge::trace_snapshot: nothing is being recorded; call urge::flight_recorder_start() or "
        "urge::trace_start(path), or set URGE_DEBUG=flightrecorder=FILE");
  }
  const std::string file(path);
  BlockingRegion region;
  const int error =
      WriteSnapshot(file.c_str(), {"urge::trace_snapshot"}, FunctionNames::Mode::kFull);
  if (error != 0) FailTo("trace_snapshot", file, error);
}

}  // namespace urge

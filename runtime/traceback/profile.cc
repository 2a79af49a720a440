#include "runtime/traceback/profile.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <urge/profile.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/base/const_init.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "runtime/base/print.h"
#include "runtime/preempt/cfi.h"
#include "runtime/preempt/foreign_handler.h"
#include "runtime/preempt/signal.h"
#include "runtime/sched/current.h"
#include "runtime/sched/start.h"
#include "runtime/traceback/clerk.h"
#include "runtime/traceback/lines.h"
#include "runtime/traceback/profile_ring.h"
#include "runtime/traceback/symbol.h"

namespace urge::traceback {
namespace {

using sched::G;
using sched::g_sched;
using sched::M;

constinit preempt::ForeignHandler g_foreign;
constinit char g_token = 0;  // the value of every signal of ours
constinit std::atomic<bool> g_sampling{false};
constinit std::atomic<std::int64_t> g_period_ns{0};

// What is added up between profile_start and profile_stop.
struct Profile {
  std::string path;
  int fd = -1;
  bool from_environment = false;
  absl::flat_hash_map<std::string, std::uint64_t> stacks;  // samples by folded stack
  absl::flat_hash_map<std::uintptr_t, std::string> names;  // ";inlined;function" by pc
  std::uint32_t generation = 0;                            // of the code that `names` is about
};
ABSL_CONST_INIT absl::Mutex g_mutex(absl::kConstInit);
Profile* g_profile ABSL_GUARDED_BY(g_mutex) = nullptr;

// --- Timers ---

// The kernel's, not libc's: they are made for other threads, by id.
void ArmLocked(M* m, ProfileRing* ring) ABSL_EXCLUSIVE_LOCKS_REQUIRED(m->mark_lock) {
  if (ring->timer >= 0 || !m->may_profile) return;
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGPROF;
  event.sigev_value.sival_ptr = &g_token;
  event._sigev_un._tid = m->tid;
  // The CPU clock of a thread: the complement of its id, then bits for "thread" and "scheduler's".
  const auto clock = static_cast<clockid_t>(~static_cast<unsigned>(m->tid) << 3 | 6);
  int timer = -1;
  if (base::RawSyscall(SYS_timer_create, clock, reinterpret_cast<long>(&event),
                       reinterpret_cast<long>(&timer)) != 0) {
    return;  // without one, nothing of this thread is seen
  }
  const std::int64_t period = g_period_ns.load(std::memory_order_relaxed);
  const timespec time{static_cast<time_t>(period / 1'000'000'000),
                      static_cast<long>(period % 1'000'000'000)};
  const itimerspec spec{time, time};
  base::RawSyscall(SYS_timer_settime, timer, 0, reinterpret_cast<long>(&spec), 0);
  ring->timer = timer;
}

void DisarmLocked([[maybe_unused]] M* m, ProfileRing* ring)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(m->mark_lock) {
  if (ring->timer >= 0) base::RawSyscall(SYS_timer_delete, ring->timer);
  ring->timer = -1;
}

// The M's ring, which it keeps for ever; null without memory.
ProfileRing* RingOf(M* m) {
  ProfileRing* ring = m->profile_ring.load(std::memory_order_acquire);
  if (ring != nullptr) return ring;
  void* memory = mmap(nullptr, sizeof(ProfileRing), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* made = new (memory) ProfileRing;
  // release: pairs with the handler's acquire.
  if (m->profile_ring.compare_exchange_strong(ring, made, std::memory_order_acq_rel)) return made;
  munmap(memory, sizeof(ProfileRing));
  return ring;
}

template <class Visit>
void ForEachM(Visit visit) {
  for (M* m = g_sched.all_ms.load(std::memory_order_acquire); m != nullptr; m = m->all_next) {
    visit(m);
  }
}

void OnProfile(int signal, siginfo_t* info, void* raw_context) {
  preempt::ClearAlignmentCheck();
  const int saved_errno = errno;
  if (info->si_code != SI_TIMER || info->si_value.sival_ptr != &g_token) {
    g_foreign.Call(signal, info, raw_context);
  } else if (M* m = sched::CurrentM()) {
    const auto& context = *static_cast<const ucontext_t*>(raw_context);
    preempt::NoteInterruptedCall(m, context);
    ProfileRing* ring = m->profile_ring.load(std::memory_order_acquire);
    if (ring != nullptr && g_sampling.load(std::memory_order_relaxed)) {
      const auto weight = static_cast<std::uint64_t>(info->si_overrun) + 1;
      const G* gp = m->curg.load(std::memory_order_relaxed);
      if (TakeSample(ring, gp, weight, context)) RingClerk();
    }
  }
  errno = saved_errno;
}

void InstallHandler() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  if (preempt::SharedSignal(SIGPROF) != nullptr) return;
  struct sigaction action {
  }, previous{};
  action.sa_sigaction = OnProfile;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigfillset(&action.sa_mask);
  if (sigaction(SIGPROF, nullptr, &previous) != 0) {
    throw std::system_error(errno, std::generic_category(), "urge::profile_start: SIGPROF");
  }
  g_foreign.Set(previous);
  sigaction(SIGPROF, &action, nullptr);
  preempt::ShareSignal(SIGPROF, &g_foreign);
}

// --- Adding up ---

// A frame of a folded stack: semicolons and line ends have a meaning there.
std::string Escaped(std::string_view text) {
  return absl::StrReplaceAll(absl::string_view(text.data(), text.size()),
                             {{";", ":"}, {"\n", " "}, {"\r", " "}});
}

std::string NameAt(std::uintptr_t pc) {
  std::string name;
  // Inlined calls come innermost first, and folded stacks go outwards in.
  ForEachSourceFrame(pc, [&](const SourceFrame& frame) {
    if (!frame.function.empty()) name.insert(0, ";" + Escaped(frame.function));
  });
  if (!name.empty()) return name;
  char buffer[kSymbolNameBytes];
  const std::string_view function = FunctionName(pc, buffer);
  if (!function.empty()) return ";" + Escaped(function);
  const CodePlace place = PlaceOf(pc);
  const std::string_view module = place.module.substr(place.module.rfind('/') + 1);
  return absl::StrCat(";[", module.empty() ? "unknown" : Escaped(module), "]");
}

const std::string& NameOf(Profile& profile, std::uintptr_t pc) {
  const auto [at, is_new] = profile.names.try_emplace(pc);
  if (is_new) at->second = NameAt(pc);
  return at->second;
}

std::string Root(const Sample& sample) {
  if (sample.goid == 0) return "(scheduler)";
  std::string root = Escaped(sample.name);
  if (root.empty()) {
    char buffer[kSymbolNameBytes];
    const std::string_view creator =
        sample.go_pc == 0 ? std::string_view() : FunctionName(sample.go_pc - 1, buffer);
    root = absl::StrCat("created by ", creator.empty() ? "?" : Escaped(creator));
  }
  if (sample.labels && !sample.labels->empty()) {
    const char* separator = ";{";
    for (const auto& [key, value] : *sample.labels) {
      absl::StrAppend(&root, separator, Escaped(key), ": ", Escaped(value));
      separator = ", ";
    }
    root += '}';
  }
  absl::StrAppend(&root, ";goroutine ", sample.goid);
  return root;
}

void Add(Profile& profile, const Sample& sample) {
  std::string stack = Root(sample);
  if (sample.more) stack += ";(further frames)";
  for (int i = sample.frames; i-- > 0;) {
    const std::string& name = NameOf(profile, sample.pcs[i]);
    if (name != ";urge_goexit") stack += name;
  }
  profile.stacks[stack] += sample.weight;
}

void DrainLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  if (g_profile == nullptr) return;
  const std::uint32_t generation = preempt::CodeGeneration();
  if (std::exchange(g_profile->generation, generation) != generation) g_profile->names.clear();
  ForEachM([](M* m) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    ProfileRing* ring = m->profile_ring.load(std::memory_order_acquire);
    if (ring == nullptr) return;
    EmptyRing(ring,
              [](const Sample& sample) ABSL_NO_THREAD_SAFETY_ANALYSIS { Add(*g_profile, sample); });
    if (const std::uint64_t lost = ring->lost.exchange(0, std::memory_order_relaxed)) {
      g_profile->stacks["(samples lost)"] += lost;
    }
  });
}

// --- Start and stop ---

void Start(std::string path, int hz, bool from_environment) {
  if (hz < 1 || hz > 1000) {
    throw std::invalid_argument(
        absl::StrCat("urge::profile_start: hz is ", hz, "; allowed are 1 to 1000"));
  }
  absl::MutexLock lock(&g_mutex);
  if (g_profile != nullptr) {
    throw std::logic_error("urge::profile_start: a profile is being taken already, into " +
                           g_profile->path);
  }
  if (sigismember(&g_sched.base_mask, SIGPROF) == 1) {
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "urge::profile_start: SIGPROF was blocked where the runtime was "
                            "started, and so it is on all its threads");
  }
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) {
    throw std::system_error(errno, std::generic_category(),
                            "urge::profile_start: can't write " + path);
  }
  try {
    InstallHandler();
    g_profile = new Profile;
  } catch (...) {
    close(fd);
    throw;
  }
  g_profile->path = std::move(path);
  g_profile->fd = fd;
  g_profile->from_environment = from_environment;
  StartClerk();  // without it rings overflow, and the lost samples are told
  // What is left of the last profile.
  ForEachM([](M* m) {
    if (ProfileRing* ring = m->profile_ring.load(std::memory_order_acquire)) {
      EmptyRing(ring, [](const Sample&) {});
      ring->lost.store(0, std::memory_order_relaxed);
    }
  });
  g_period_ns.store(1'000'000'000 / hz, std::memory_order_relaxed);
  // seq_cst: a thread that starts sees this, or is seen below with may_profile set; both look under
  // its mark_lock.
  g_sampling.store(true, std::memory_order_seq_cst);
  ForEachM([](M* m) {
    ProfileRing* ring = RingOf(m);
    if (ring == nullptr) return;
    base::RuntimeLock marks(m->mark_lock);
    ArmLocked(m, ring);
  });
}

void WriteAll(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      throw std::system_error(errno, std::generic_category(),
                              "urge::profile_stop: can't write " + path);
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

void StopLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(g_mutex) {
  g_sampling.store(false, std::memory_order_seq_cst);
  ForEachM([](M* m) {
    ProfileRing* ring = m->profile_ring.load(std::memory_order_acquire);
    if (ring == nullptr) return;
    base::RuntimeLock marks(m->mark_lock);
    DisarmLocked(m, ring);
  });
  DrainLocked();
  const std::unique_ptr<Profile> profile(std::exchange(g_profile, nullptr));
  std::vector<std::pair<std::string, std::uint64_t>> lines(profile->stacks.begin(),
                                                           profile->stacks.end());
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const auto& [stack, samples] : lines) absl::StrAppend(&text, stack, " ", samples, "\n");
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{profile->fd};
  WriteAll(profile->fd, text, profile->path);
}

}  // namespace

void ProfileThread(M* m) {
  ProfileRing* ring = g_sampling.load(std::memory_order_seq_cst) ? RingOf(m) : nullptr;
  base::RuntimeLock marks(m->mark_lock);
  m->may_profile = true;
  if (ring == nullptr && g_sampling.load(std::memory_order_seq_cst)) {
    // Begun between the two looks, before this M could be armed.
    ring = RingOf(m);
  }
  if (ring != nullptr) ArmLocked(m, ring);
}

void UnprofileThread(M* m) {
  base::RuntimeLock marks(m->mark_lock);
  m->may_profile = false;
  if (ProfileRing* ring = m->profile_ring.load(std::memory_order_acquire)) DisarmLocked(m, ring);
}

void DrainProfile() {
  absl::MutexLock lock(&g_mutex);
  DrainLocked();
}

void StartProfileFromEnvironment(std::string path, int hz) {
  const std::string file = absl::StrReplaceAll(path, {{"%p", absl::StrCat(getpid())}});
  try {
    Start(file, hz, true);
  } catch (const std::exception& error) {
    base::RawWriter(STDERR_FILENO) << "urge: URGE_DEBUG's profile: " << error.what() << "\n";
  }
}

void FinishProfile() {
  absl::MutexLock lock(&g_mutex);
  if (g_profile == nullptr || !g_profile->from_environment) return;
  try {
    StopLocked();
  } catch (const std::exception& error) {
    base::RawWriter(STDERR_FILENO) << error.what() << "\n";
  }
}

void ForgetProfile() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  new (&g_mutex) absl::Mutex;  // a thread that isn't there may hold it
  g_sampling.store(false);
  g_profile = nullptr;
}

}  // namespace urge::traceback

namespace urge {

void profile_start(std::string_view path, int hz) {
  sched::EnsureStarted();
  traceback::Start(std::string(path), hz, false);
}

void profile_stop() {
  absl::MutexLock lock(&traceback::g_mutex);
  if (traceback::g_profile == nullptr) {
    throw std::logic_error("urge::profile_stop: no profile is being taken");
  }
  traceback::StopLocked();
}

}  // namespace urge

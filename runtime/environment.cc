#include "runtime/environment.h"

#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace urge {
namespace {

[[noreturn]] void Reject(absl::string_view what, absl::string_view value,
                         absl::string_view allowed) {
  throw std::invalid_argument(
      absl::StrCat("urge: ", what, " is \"", value, "\"; allowed are ", allowed));
}

const char* Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == 0 ? nullptr : value;
}

std::string ProcsAllowed() { return absl::StrCat("1 to ", base::kMaxProcs); }

int UsableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

int Procs(int option) {
  if (option < 0 || option > base::kMaxProcs) {
    Reject("options::procs", absl::StrCat(option), absl::StrCat("0 (default) or ", ProcsAllowed()));
  }
  if (option != 0) return option;
  const char* text = Variable("URGE_MAXPROCS");
  if (text == nullptr) return std::min(UsableCpus(), base::kMaxProcs);
  int procs;
  if (!absl::SimpleAtoi(text, &procs) || procs < 1 || procs > base::kMaxProcs) {
    Reject("URGE_MAXPROCS", text, ProcsAllowed());
  }
  return procs;
}

std::uint64_t SliceNs(std::chrono::nanoseconds option) {
  constexpr absl::string_view allowed = "20us to 10s, with a unit (ns, us, ms, s)";
  const auto in_range = [](std::int64_t ns) {
    return ns >= static_cast<std::int64_t>(base::kMinSliceNs) &&
           ns <= static_cast<std::int64_t>(base::kMaxSliceNs);
  };
  if (option.count() != 0) {
    if (!in_range(option.count())) {
      Reject("options::slice", absl::StrCat(option.count(), "ns"), allowed);
    }
    return static_cast<std::uint64_t>(option.count());
  }
  const char* text = Variable("URGE_SLICE");
  if (text == nullptr) return base::kSliceNs;
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || !in_range(absl::ToInt64Nanoseconds(duration))) {
    Reject("URGE_SLICE", text, allowed);
  }
  return static_cast<std::uint64_t>(absl::ToInt64Nanoseconds(duration));
}

// "URG", "SIGURG", "RTMIN+3" or a number; 0 if it is none.
int SignalNumber(absl::string_view name) {
  int number = 0;
  if (absl::SimpleAtoi(name, &number)) return number;
  absl::ConsumePrefix(&name, "SIG");
  for (int candidate = 1; candidate < SIGRTMIN; ++candidate) {
    const char* abbreviation = sigabbrev_np(candidate);
    if (abbreviation != nullptr && name == abbreviation) return candidate;
  }
  if (absl::ConsumePrefix(&name, "RTMIN+") && absl::SimpleAtoi(name, &number)) {
    return number + SIGRTMIN;
  }
  return 0;
}

// Can a program spare the signal?
bool IsSpare(int number) {
  constexpr std::array kUnfit = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE,
                                 SIGILL,  SIGTRAP, SIGABRT, SIGQUIT};
  // The C library keeps those between the ordinary ones and SIGRTMIN for itself.
  bool fit = number >= 1 && number <= SIGRTMAX && (number < __SIGRTMIN || number >= SIGRTMIN);
  for (const int unfit : kUnfit) fit = fit && number != unfit;
  return fit;
}
constexpr absl::string_view kSpareSignals =
    "signals that a program can spare, as SIGURG, SIGUSR2 or RTMIN+3";

int PreemptSignal() {
  const char* text = Variable("URGE_SIGNAL");
  if (text == nullptr) return SIGURG;
  const int number = SignalNumber(text);
  if (!IsSpare(number)) Reject("URGE_SIGNAL", text, kSpareSignals);
  return number;
}

void ApplyMetrics(StartPlan& plan) {
  // A set-user-ID program makes no files for who calls it.
  const char* text = secure_getenv("URGE_METRICS");
  if (text == nullptr || *text == 0) return;
  const absl::string_view value = text;
  if (value == "0") return;
  const bool is_address = absl::StrContains(value, '/') || (value[0] == '@' && value.size() > 1);
  if (value != "1" && !is_address) {
    Reject("URGE_METRICS", value, "0, 1, the path of a socket (with a slash), or @name");
  }
  plan.serve_metrics = true;
  if (is_address) plan.metrics_address = std::string(value);
}

// One key of URGE_DEBUG.
struct DebugKey {
  const char* name;
  void (*set)(StartPlan&, std::int64_t value);
  std::int64_t max;
  std::int64_t min = 0;
};

constexpr DebugKey kDebugKeys[] = {
    {"asyncpreemptoff", [](StartPlan& p, std::int64_t v) { p.settings.async_preempt &= v == 0; },
     1},
    {"cooppreemptoff",
     [](StartPlan& p, std::int64_t v) { p.settings.cooperative_preempt &= v == 0; }, 1},
    {"wakeuppreemptoff", [](StartPlan& p, std::int64_t v) { p.settings.wakeup_preempt &= v == 0; },
     1},
    {"preemptmap", [](StartPlan& p, std::int64_t v) { p.print_preemption_map = v != 0; }, 1},
    {"threadbound", [](StartPlan& p, std::int64_t v) { p.print_thread_bound = v != 0; }, 1},
    {"randomize", [](StartPlan& p, std::int64_t v) { p.settings.randomize = v != 0; }, 1},
    {"seed", [](StartPlan& p, std::int64_t v) { p.settings.seed = static_cast<std::uint64_t>(v); },
     INT64_MAX},
    {"preempttimer", [](StartPlan& p, std::int64_t v) { p.settings.timed_slices = v != 0; }, 1},
    {"preemptprologue", [](StartPlan& p, std::int64_t v) { p.settings.preempt_prologues = v != 0; },
     1},
    {"schedtrace",
     [](StartPlan& p, std::int64_t v) {
       p.settings.schedtrace_ns = static_cast<std::uint64_t>(v) * 1'000'000;
     },
     86'400'000},
    {"scheddetail", [](StartPlan& p, std::int64_t v) { p.settings.scheddetail = v != 0; }, 1},
    {"tracebackancestors",
     [](StartPlan& p, std::int64_t v) { p.settings.ancestors = static_cast<int>(v); }, 1000},
    {"tracebuffer",
     [](StartPlan& p, std::int64_t v) {
       p.recorder.ring_bytes = static_cast<std::size_t>(v) * 1024;
     },
     4 << 20, 4},
    {"profilehz", [](StartPlan& p, std::int64_t v) { p.profile_hz = static_cast<int>(v); }, 1000,
     1},
};

// A key whose value isn't a whole number.
struct DebugTextKey {
  const char* name;
  bool (*set)(StartPlan&, absl::string_view value);  // false: not allowed
  absl::string_view allowed;
};
constexpr DebugTextKey kDebugTextKeys[] = {
    {"flightrecorder",
     [](StartPlan& p, absl::string_view v) {
       p.recorder.flight_file = std::string(v);
       return !v.empty();
     },
     "names of files without a comma"},
    {"tracesignal",
     [](StartPlan& p, absl::string_view v) {
       p.recorder.signal = SignalNumber(v);
       return IsSpare(p.recorder.signal) && p.recorder.signal != p.settings.preempt_signal;
     },
     "signals that a program can spare, as USR1 or RTMIN+3, but not the one that preempts"},
    {"starvation",
     [](StartPlan& p, absl::string_view v) {
       absl::Duration duration;
       if (!absl::ParseDuration(v, &duration)) return false;
       const std::int64_t ns = absl::ToInt64Nanoseconds(duration);
       p.recorder.starvation_ns = static_cast<std::uint64_t>(ns);
       return ns >= 1'000'000 && ns <= 3'600'000'000'000;
     },
     "1ms to 1h, with a unit (us, ms, s, m, h)"},
    {"stall",
     [](StartPlan& p, absl::string_view v) {
       absl::Duration bound;
       if (!absl::ParseDuration(v, &bound)) return false;
       const std::int64_t ns = absl::ToInt64Nanoseconds(bound);
       p.settings.stall_ns = static_cast<std::uint64_t>(ns);
       return ns >= 100'000 && ns <= 3'600'000'000'000;
     },
     "100us to 1h, with a unit, as in stall=5ms"},
    {"profile",
     [](StartPlan& p, absl::string_view v) {
       p.profile_path = std::string(v);
       return !v.empty();
     },
     "names of files, as in profile=cpu.folded"},
};

void ApplyDebug(StartPlan& plan) {
  const char* text = Variable("URGE_DEBUG");
  if (text == nullptr) return;
  for (const absl::string_view item : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(item, absl::MaxSplits('=', 1));
    const auto* text_key = std::ranges::find(kDebugTextKeys, pair.first, &DebugTextKey::name);
    if (text_key != std::end(kDebugTextKeys)) {
      if (!text_key->set(plan, pair.second)) {
        Reject(absl::StrCat("URGE_DEBUG's ", text_key->name), pair.second, text_key->allowed);
      }
      continue;
    }
    const DebugKey* key = nullptr;
    for (const DebugKey& candidate : kDebugKeys) {
      if (pair.first == candidate.name) key = &candidate;
    }
    if (key == nullptr) {
      const auto name = [](std::string* out, const auto& k) { out->append(k.name); };
      Reject("a key in URGE_DEBUG", pair.first,
             absl::StrCat(absl::StrJoin(kDebugKeys, ", ", name), ", ",
                          absl::StrJoin(kDebugTextKeys, ", ", name)));
    }
    std::int64_t value;
    if (!absl::SimpleAtoi(pair.second, &value) || value < key->min || value > key->max) {
      Reject(absl::StrCat("URGE_DEBUG's ", key->name), pair.second,
             absl::StrCat("whole numbers from ", key->min, " to ", key->max, ", as in ", key->name,
                          "=", std::max<std::int64_t>(key->min, 1)));
    }
    key->set(plan, value);
  }
}

std::size_t WholePages(std::size_t bytes) {
  return (bytes + base::kPageBytes - 1) & ~(base::kPageBytes - 1);
}

}  // namespace

StartPlan PlanStart(const options& options) {
  StartPlan plan;
  sched::Settings& settings = plan.settings;
  plan.procs = Procs(options.procs);
  settings.slice_ns = SliceNs(options.slice);
  settings.cooperative_preempt = options.cooperative_preempt;
  settings.async_preempt = options.async_preempt;
  settings.wakeup_preempt = options.wakeup_preempt;
  if (options.max_stack < base::kMinStackBytes || options.max_stack > base::kMaxStackBytes) {
    Reject("options::max_stack", absl::StrCat(options.max_stack),
           absl::StrCat(base::kMinStackBytes, " to ", base::kMaxStackBytes, " bytes"));
  }
  if (options.stack_size < base::kMinStackBytes || options.stack_size > options.max_stack) {
    Reject("options::stack_size", absl::StrCat(options.stack_size),
           absl::StrCat(base::kMinStackBytes, " to options::max_stack (", options.max_stack,
                        ") bytes"));
  }
  settings.max_stack_bytes = options.max_stack;
  settings.stack_bytes = WholePages(options.stack_size);
  settings.preempt_signal = PreemptSignal();
  ApplyMetrics(plan);
  ApplyDebug(plan);
  return plan;
}

}  // namespace urge

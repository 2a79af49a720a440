// A preemption storm: canaries of every kind under slices so short that each round is interrupted,
// by prologue and by signal, while others come and go.
//
//  1. Each kind of canary runs on several goroutines; a round's work is a few slices long.
//     --by=prologue stops them at every prologue (URGE_DEBUG=preemptprologue=1), and rounds are
//     short: a million stops a second. --by=signal has each slice ended by its own thread's timer
//     (URGE_DEBUG=preempttimer=1), over long stretches without a call.
//  2. A canary that finds something of its own changed says so; the storm ends at once, and fails.
//  3. The storm ends after --duration, or when --preemptions have happened. The random numbers of
//     all canaries come from one seed, which is printed.
//  4. At the end the books must balance: each request to stop was answered, or superseded by a
//     stronger one, or is pending on a goroutine that doesn't run.

#include <urge/urge.h>

#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "runtime/sched/sched.h"
#include "stress/common/args.h"
#include "stress/storm/canary.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

enum class By { kBoth, kPrologue, kSignal };

// Between two prologues: enough for a signal to strike now and then where each prologue stops, and
// several times as much as a slice, and the time that a mark is given, where signals shall do it.
constexpr std::uint64_t kFewSteps = 200, kManySteps = 400'000;
// What urge::options allows. Shorter ones are for storms only: see Start.
constexpr std::chrono::nanoseconds kShortestSlice = 20us;
constexpr auto kPatience = 60s;

struct Options {
  std::chrono::nanoseconds duration = 10s;
  std::chrono::nanoseconds slice = 50us;
  std::uint64_t preemptions = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t seed = std::random_device{}();
  int procs = 0;
  int copies = 2;
  By by = By::kBoth;
};

Options Parse(int argc, char** argv) {
  Options options;
  bool duration_given = false;
  stress::Args args("storm", "Preempts canaries of every kind and looks for what they lose.");
  args.Option("duration", "TIME", "how long the storm lasts (10s)", [&](std::string_view text) {
    options.duration = stress::ParseDuration(text, 1ms, 24h);
    duration_given = true;
  });
  args.Option("preemptions", "N", "ends after so many preemptions", [&](std::string_view text) {
    options.preemptions = static_cast<std::uint64_t>(stress::ParseInteger(text, 1, INT64_MAX));
    if (!duration_given) options.duration = 24h;
  });
  args.Option("seed", "N", "of the random numbers (random)", [&](std::string_view text) {
    options.seed = static_cast<std::uint64_t>(stress::ParseInteger(text, 0, INT64_MAX));
  });
  args.Option("procs", "N", "goroutines that run at once (the CPUs)", [&](std::string_view text) {
    options.procs = static_cast<int>(stress::ParseInteger(text, 1, 1024));
  });
  args.Option("slice", "TIME", "time slice (50us)", [&](std::string_view text) {
    options.slice = stress::ParseDuration(text, 1us, 10s);
  });
  args.Option("by", "both|prologue|signal",
              "what stops goroutines most (both); prologue: every one", [&](std::string_view text) {
                if (text == "both") {
                  options.by = By::kBoth;
                } else if (text == "prologue") {
                  options.by = By::kPrologue;
                } else if (text == "signal") {
                  options.by = By::kSignal;
                } else {
                  throw stress::BadArgument("allowed are both, prologue and signal");
                }
              });
  args.Option("copies", "N", "goroutines of each kind (2)", [&](std::string_view text) {
    options.copies = static_cast<int>(stress::ParseInteger(text, 1, 10'000));
  });
  args.ParseOrExit(argc, argv);
  return options;
}

// What the storm has found out.
struct Findings {
  std::mutex lock;
  std::vector<std::string> faults;
  std::atomic<bool> stop{false};
  std::vector<std::atomic<std::uint64_t>> rounds =
      std::vector<std::atomic<std::uint64_t>>(storm::CanaryKinds().size());

  void Fault(std::string text) {
    const urge::no_preempt hold;  // a std::mutex belongs to its thread
    const std::lock_guard guard(lock);
    faults.push_back(std::move(text));
    stop = true;
  }
};

void RunCanary(const storm::CanaryKind& kind, std::size_t index, storm::Shared& shared,
               std::uint64_t seed, Findings& findings) {
  const auto canary = kind.make(shared, seed);
  while (!findings.stop.load(std::memory_order_relaxed)) {
    if (const auto fault = canary->Round()) {
      findings.Fault(std::string(kind.name) + ": " + *fault);
      return;
    }
    findings.rounds[index].fetch_add(1, std::memory_order_relaxed);
  }
}

bool EverybodyServed(const Findings& findings) {
  const auto kinds = storm::CanaryKinds();
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i].available() && findings.rounds[i] == 0) return false;
  }
  return true;
}

std::uint64_t Preemptions(const urge::metrics& m) { return m.acks_signal + m.acks_prologue; }

void Storm(const Options& options, Findings& findings) {
  std::mt19937_64 seeds(options.seed);
  storm::Shared shared;
  if (options.by == By::kPrologue) shared.most_steps = kFewSteps;
  if (options.by == By::kSignal) shared.most_steps = kManySteps;
  urge::wait_group group;
  const auto kinds = storm::CanaryKinds();
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    for (int copy = 0; copy < options.copies; ++copy) {
      const std::uint64_t seed = seeds();
      if (!kinds[i].available()) continue;
      group.go([&, i, seed] { RunCanary(kinds[i], i, shared, seed, findings); });
    }
  }
  const auto end = Clock::now() + options.duration;
  // On a busy machine it may take longer until everybody has had a turn.
  const auto goes_on = [&] {
    const auto now = Clock::now();
    return (now < end && Preemptions(urge::read_metrics()) < options.preemptions) ||
           (now < end + kPatience && !EverybodyServed(findings));
  };
  while (!findings.stop && goes_on()) urge::sleep_for(20ms);
  findings.stop = true;
  group.wait();
}

using Count = unsigned long long;

std::uint64_t PendingRequests() {
  std::uint64_t pending = 0;
  for (const urge::sched::G* gp = urge::sched::FirstGoroutine(); gp != nullptr; gp = gp->all_next) {
    pending += gp->preempt.load(std::memory_order_relaxed);
  }
  return pending;
}

// The last goroutine may still be on its way out when its waiter goes on, and what is read at one
// time isn't of one instant: the books are read until they balance, or ten seconds long.
std::optional<std::string> Imbalance() {
  const auto end = Clock::now() + 10s;
  for (;;) {
    const urge::metrics m = urge::read_metrics();
    const std::uint64_t pending = PendingRequests();
    const std::uint64_t answered = m.acks_signal + m.acks_prologue + m.acks_voluntary;
    if (m.requests() == answered + m.superseded + pending) return std::nullopt;
    if (Clock::now() > end) {
      return std::to_string(m.requests()) + " requests, but " + std::to_string(answered) +
             " answered, " + std::to_string(m.superseded) + " superseded, " +
             std::to_string(pending) + " pending";
    }
    sched_yield();
  }
}

void Report(const urge::metrics& m, const Findings& findings) {
  const auto kinds = storm::CanaryKinds();
  std::printf("rounds:     ");
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    std::printf(" %.*s %llu", static_cast<int>(kinds[i].name.size()), kinds[i].name.data(),
                static_cast<Count>(findings.rounds[i].load()));
  }
  std::printf("\npreemptions: %llu by signal, %llu by prologue; %llu stopped by themselves\n",
              static_cast<Count>(m.acks_signal), static_cast<Count>(m.acks_prologue),
              static_cast<Count>(m.acks_voluntary));
  std::printf("requests:    %llu, of which %llu superseded\n", static_cast<Count>(m.requests()),
              static_cast<Count>(m.superseded));
  std::printf("put off:     %llu (opaque %llu, runtime %llu, callback %llu, no_preempt %llu)\n",
              static_cast<Count>(m.deferred()), static_cast<Count>(m.deferred_opaque),
              static_cast<Count>(m.deferred_runtime), static_cast<Count>(m.deferred_callback),
              static_cast<Count>(m.deferred_no_preempt));
  for (const std::string& fault : findings.faults) std::printf("FAULT %s\n", fault.c_str());
}

void Start(const Options& options) {
  if (options.by == By::kPrologue) setenv("URGE_DEBUG", "preemptprologue=1", 1);
  if (options.by == By::kSignal) setenv("URGE_DEBUG", "preempttimer=1", 1);
  urge::start({.procs = options.procs, .slice = std::max(options.slice, kShortestSlice)});
  urge::sched::g_sched.settings.slice_ns = static_cast<std::uint64_t>(options.slice.count());
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  Start(options);
  std::printf("storm: seed %llu, %d procs, slice %s\n", static_cast<Count>(options.seed),
              urge::procs(), stress::ToString(options.slice).c_str());
  std::fflush(stdout);

  Findings findings;
  urge::run([&] { Storm(options, findings); });

  if (const auto imbalance = Imbalance()) findings.faults.push_back("requests: " + *imbalance);
  const urge::metrics m = urge::read_metrics();
  Report(m, findings);
  const bool good = findings.faults.empty() && Preemptions(m) > 0 && EverybodyServed(findings);
  std::puts(good ? "PASS" : "FAIL");
  return good ? stress::kExitGood : stress::kExitBad;
}

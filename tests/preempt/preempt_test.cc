// Preemption as goroutines see it: who is stopped, by which means, and who is left alone.
//
// Half of it is about signals, which preempt nobody under ThreadSanitizer:
// skip: tsan

#include <gtest/gtest.h>

#include <urge/urge.h>

#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/base/os.h"
#include "runtime/base/sanitizer.h"
#include "runtime/preempt/signal.h"
#include "runtime/sched/current.h"
#include "runtime/sched/sched.h"
#include "tests/preempt/hogs_split.h"
#include "tests/testing/procs.h"

namespace {

using namespace std::chrono_literals;
using urge::testing::Await;
using Clock = std::chrono::steady_clock;

class PreemptTest : public ::testing::Test {
 protected:
  void SetUp() override {
    urge::run([] {});
    urge::set_procs(1);
    Defaults();
  }
  void TearDown() override {
    Await([] { return urge::goroutines() == 0; });
    Defaults();
  }
  // The settings of start(), changed while nobody runs: the properties are of the same code.
  static urge::sched::Settings& settings() { return urge::sched::g_sched.settings; }
  static void Defaults() {
    settings().cooperative_preempt = settings().async_preempt = settings().wakeup_preempt = true;
    settings().slice_ns = 10'000'000;
  }
};

[[gnu::noinline]] void CallFreeHog(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) {
  }
}

// Runs two of the hog side by side until `figure`, of the metrics, has grown by n; what happened
// meanwhile.
template <class Hog, class Figure>
urge::metrics RunTwo(Hog&& hog, Figure figure, std::uint64_t n) {
  const urge::metrics before = urge::read_metrics();
  std::atomic<bool> stop{false};
  for (int i = 0; i < 2; ++i) urge::go([&] { hog(stop); });
  const auto until = Clock::now() + 10s;
  const auto grown = [&](const urge::metrics& m) {
    return std::invoke(figure, m) - std::invoke(figure, before);
  };
  while (grown(urge::read_metrics()) < n && Clock::now() < until) usleep(1000);
  urge::metrics m = urge::read_metrics() - before;
  EXPECT_GE(std::invoke(figure, m), n)
      << "marks " << m.marks << " signals " << m.signals_sent << " + " << m.timer_signals
      << " deferred " << m.deferred() << " not wanted " << m.deferred_not_wanted << " callback "
      << m.deferred_callback;
  stop = true;
  Await([] { return urge::goroutines() == 0; });
  return m;
}

constexpr auto kBySignal = &urge::metrics::acks_signal;
constexpr auto kByMark = &urge::metrics::acks_prologue;
constexpr auto kByEither = [](const urge::metrics& m) { return m.acks_signal + m.acks_prologue; };

TEST_F(PreemptTest, ACallFreeLoopIsStoppedBySignal) {
  const urge::metrics m = RunTwo(CallFreeHog, kBySignal, 20);
  EXPECT_EQ(m.acks_prologue, 0u);
}

TEST_F(PreemptTest, InstrumentedCodeAnswersTheMarkWithoutASignal) {
  // A signal follows where the hog's thread is off its CPU when it is asked, as happens on a loaded
  // machine: so of several tries one must do without.
  for (int i = 0; i < 50; ++i) {
    const urge::metrics m = RunTwo(hogs::RecurseUntil, kByMark, 3);
    if (m.signals_sent + m.timer_signals == 0) return;
  }
  FAIL() << "a signal was sent each time";
}

TEST_F(PreemptTest, WithoutMarksEverybodyIsStoppedBySignal) {
  settings().cooperative_preempt = false;
  const urge::metrics m = RunTwo(hogs::RecurseUntil, kBySignal, 20);
  EXPECT_EQ(m.marks, 0u);
  EXPECT_EQ(m.acks_prologue, 0u);
}

TEST_F(PreemptTest, WithoutSignalsMarksStopInstrumentedCode) {
  settings().async_preempt = false;
  const urge::metrics m = RunTwo(hogs::RecurseUntil, kByMark, 20);
  EXPECT_EQ(m.signals_sent, 0u);
  EXPECT_LE(m.timer_signals, 1u) << "a timer that was armed before";
}

TEST_F(PreemptTest, WithoutSignalsACallFreeLoopRunsOnButACheckpointYields) {
  settings().async_preempt = false;
  urge::run([] {
    std::atomic<bool> ran{false};
    urge::go([&] { ran = true; });
    const auto until = Clock::now() + 50ms;
    while (Clock::now() < until) {
    }
    EXPECT_FALSE(ran);
    while (!ran.load(std::memory_order_relaxed)) urge::checkpoint();
  });
}

TEST_F(PreemptTest, WithNeitherNobodyIsStoppedAndSleepersAreServedAtSwitches) {
  settings().async_preempt = settings().cooperative_preempt = false;
  for (const bool wakeups : {true, false}) {
    settings().wakeup_preempt = wakeups;
    const urge::metrics before = urge::read_metrics();
    urge::run([] {
      std::atomic<bool> ran{false}, woke{false};
      urge::go([&] {
        ran = true;
        urge::sleep_for(1ms);
        woke = true;
      });
      const auto until = Clock::now() + 30ms;
      while (Clock::now() < until) urge::checkpoint();
      EXPECT_FALSE(ran);
      Await([&] { return woke.load(); });
    });
    const urge::metrics m = urge::read_metrics() - before;
    EXPECT_EQ(m.marks + m.signals_sent + m.timer_signals, 0u);
    EXPECT_EQ(m.acks_prologue + m.acks_signal, 0u);
  }
}

TEST_F(PreemptTest, ALoneHogIsLeftAlone) {
  for (const int procs : {1, 2}) {
    urge::set_procs(procs);
    urge::run([] {
      std::uint64_t sum = 0;
      const auto spin_until = [&](Clock::time_point until) {
        while (Clock::now() < until) sum += 1;
      };
      spin_until(Clock::now() + 50ms);  // what came before has died down
      const urge::metrics before = urge::read_metrics();
      spin_until(Clock::now() + 500ms);
      const urge::metrics m = urge::read_metrics() - before;
      EXPECT_EQ(m.signals_sent + m.timer_signals, 0u);
      EXPECT_EQ(m.marks, 0u);
      EXPECT_EQ(m.requests(), 0u);
    });
  }
}

TEST_F(PreemptTest, AnIdleRuntimeSleeps) {
  urge::run([] {});
  urge::set_procs(2);
  // A first while settles what the change has started.
  urge::sleep_for(100ms);
  const urge::metrics before = urge::read_metrics();
  timespec cpu_before, cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_before);
  urge::sleep_for(500ms);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  const urge::metrics m = urge::read_metrics() - before;
  EXPECT_LE(m.sysmon_wakeups, 2u);
  const double used_ms = 1e3 * static_cast<double>(cpu.tv_sec - cpu_before.tv_sec) +
                         1e-6 * static_cast<double>(cpu.tv_nsec - cpu_before.tv_nsec);
  EXPECT_LT(used_ms, 5.0);
}

// The median of the gaps between ticks of a goroutine that sleeps 1 ms among hogs.
Clock::duration MedianGapAmongHogs() {
  std::vector<Clock::duration> gaps;
  urge::run([&] {
    std::atomic<bool> stop{false};
    urge::wait_group group;
    for (int i = 0; i < 3; ++i) group.go([&] { CallFreeHog(stop); });
    group.go([&] {
      Clock::time_point last = Clock::now();
      for (int i = 0; i < 15; ++i) {
        urge::sleep_for(1ms);
        const Clock::time_point now = Clock::now();
        gaps.push_back(now - last);
        last = now;
      }
      stop = true;
    });
    group.wait();
  });
  std::sort(gaps.begin(), gaps.end());
  return gaps[gaps.size() / 2];
}

TEST_F(PreemptTest, AWakingGoroutineTakesAProcessorFromAHog) {
  settings().slice_ns = 50'000'000;
  const Clock::duration taken = MedianGapAmongHogs();
  settings().wakeup_preempt = false;
  const Clock::duration waited = MedianGapAmongHogs();
  // 1 ms and a slice or more; on a loaded machine what its threads wait for CPUs is added to both.
  EXPECT_GT(waited, 10ms);
  EXPECT_LT(2 * taken, waited);
}

TEST_F(PreemptTest, EveryRequestIsAccountedFor) {
  // Whoever was asked while he ended or waited answers when the goroutine runs again.
  const auto count_pending = [] {
    std::uint64_t pending = 0;
    for (auto* gp = urge::sched::FirstGoroutine(); gp != nullptr; gp = gp->all_next) {
      pending += gp->preempt.load();
    }
    return pending;
  };
  const std::uint64_t pending_before = count_pending();
  const urge::metrics before = urge::read_metrics();
  for (const int procs : {1, 2, 8}) {
    urge::set_procs(procs);
    settings().slice_ns = 200'000;
    urge::run([] {
      std::atomic<bool> stop{false};
      urge::wait_group group;
      for (int i = 0; i < 3; ++i) group.go([&] { CallFreeHog(stop); });
      for (int i = 0; i < 2; ++i) group.go([&] { hogs::RecurseUntil(stop); });
      for (int i = 0; i < 2; ++i) {
        group.go([&] {
          while (!stop) {
            urge::async([] {
              for (int k = 0; k < 100'000; ++k) asm volatile("");
            }).get();
          }
        });
      }
      for (int i = 0; i < 100; ++i) urge::sleep_for(1ms);
      stop = true;
      group.wait();
    });
  }
  Await([] { return urge::goroutines() == 0; });
  const std::uint64_t pending = count_pending();
  const urge::metrics m = urge::read_metrics() - before;
  EXPECT_GT(m.requests(), 100u);
  EXPECT_EQ(pending_before + m.requests(),
            m.acks_prologue + m.acks_signal + m.acks_voluntary + m.superseded + pending)
      << "slice " << m.requests_slice << " wakeup " << m.requests_wakeup << " stop "
      << m.requests_stop << " prologue " << m.acks_prologue << " signal " << m.acks_signal
      << " voluntary " << m.acks_voluntary << " superseded " << m.superseded << " pending "
      << pending;
}

// A sent signal merges with the timer's that is pending already. Linux 6.13 and later drop that one
// if the timer is set anew meanwhile, and both are lost.
TEST_F(PreemptTest, ASignalLostWithTheTimersIsNotWaitedFor) {
  urge::run([] {
    const urge::no_preempt stay;
    urge::sched::M* m = urge::sched::CurrentM();
    sigset_t preempt_signal, pending;
    sigemptyset(&preempt_signal);
    sigaddset(&preempt_signal, settings().preempt_signal);
    pthread_sigmask(SIG_BLOCK, &preempt_signal, nullptr);
    urge::preempt::ArmSliceTimer(m, urge::base::NowNs());
    do {
      sigpending(&pending);
    } while (sigismember(&pending, settings().preempt_signal) == 0);
    urge::preempt::SendPreemptSignal(m);
    EXPECT_EQ(m->signal_pending.load(), 1u);
    urge::preempt::ArmSliceTimer(m, urge::base::NowNs() + 1'000'000'000'000);
    pthread_sigmask(SIG_UNBLOCK, &preempt_signal, nullptr);
    EXPECT_EQ(m->signal_pending.load(), 0u) << "no signal would ever be sent to this thread again";
  });
}

TEST_F(PreemptTest, TenThousandWakeUpsAmongHogsLoseNone) {
  urge::set_procs(2);
  settings().slice_ns = 1'000'000;
  urge::run([] {
    std::atomic<bool> stop{false};
    urge::wait_group group;
    for (int i = 0; i < 2; ++i) group.go([&] { CallFreeHog(stop); });
    urge::wait_group pairs;
    urge::chan<int> there(0), back(0);
    pairs.go([&] {
      for (int i = 0; i < 10'000; ++i) {
        there.send(i);
        ASSERT_EQ(back.recv().value(), i);
      }
    });
    pairs.go([&] {
      for (int i = 0; i < 10'000; ++i) back.send(there.recv().value());
    });
    pairs.wait();
    stop = true;
    group.wait();
  });
}

TEST_F(PreemptTest, AHogThatAllocatesAllTheTimeIsStoppedAllTheSame) {
  const auto hog = [](const std::atomic<bool>& stop) {
    std::map<int, std::string> map;
    for (int i = 0; !stop.load(std::memory_order_relaxed); ++i) {
      map[i % 100] = std::string(100, 'x');
      map.erase((i * 7) % 100);
    }
  };
  // Where urge stands in for malloc, mostly by the mark, as malloc ends.
  RunTwo(hog, kByEither, 20);
}

TEST_F(PreemptTest, AHogInMemcpyIsStopped) {
  const auto hog = [](const std::atomic<bool>& stop) {
    std::vector<char> from(1 << 22, 'a'), to(1 << 22);
    do {
      std::memcpy(to.data(), from.data(), from.size());
    } while (!stop.load(std::memory_order_relaxed));
    EXPECT_EQ(to, from);
  };
  RunTwo(hog, kBySignal, 10);
}

// qsort holds no lock while it compares, but uses errno: its thread waits for the goroutine.
// The sanitizers' own qsort keeps the comparator in a thread-local: under it, as under any unknown
// function that calls back, nobody is switched off.
template <class Compare>
void SortBesideOthers(Compare compare) {
  const auto answer = urge::base::HasSanitizer() ? &urge::metrics::deferred_callback
                                                 : &urge::metrics::wired_by_frame;
  const auto hog = [&](const std::atomic<bool>& stop) {
    std::vector<int> numbers(30'000);
    do {
      std::iota(numbers.begin(), numbers.end(), 0);
      std::reverse(numbers.begin(), numbers.end());
      std::qsort(numbers.data(), numbers.size(), sizeof(int), compare);
      EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
      EXPECT_EQ(numbers.back(), 29'999);
    } while (!stop.load(std::memory_order_relaxed));
  };
  RunTwo(hog, answer, 10);
}

int SlowCompare(const void* a, const void* b) {
  for (int i = 0; i < 200; ++i) asm volatile("");
  const int x = *static_cast<const int*>(a), y = *static_cast<const int*>(b);
  return (x > y) - (x < y);
}

TEST_F(PreemptTest, AComparatorUnderQsortIsSwitchedOffBySignal) { SortBesideOthers(SlowCompare); }

TEST_F(PreemptTest, AnInstrumentedComparatorUnderQsortIsSwitchedOffByTheMark) {
  SortBesideOthers(hogs::CompareInts);
}

// Under the loader's lock nobody is switched off.
template <class Callback>
void IterateBesideOthers(Callback callback) {
  const auto hog = [&](const std::atomic<bool>& stop) {
    do {
      dl_iterate_phdr(callback, nullptr);
    } while (!stop.load(std::memory_order_relaxed));
  };
  RunTwo(hog, &urge::metrics::deferred_callback, 10);
}

TEST_F(PreemptTest, ACallbackOfTheLoaderIsNotSwitchedOffBySignal) {
  IterateBesideOthers([](dl_phdr_info*, std::size_t, void*) {
    for (int i = 0; i < 100'000; ++i) asm volatile("");
    return 0;
  });
}

TEST_F(PreemptTest, AnInstrumentedCallbackOfTheLoaderIsNotSwitchedOffByTheMark) {
  IterateBesideOthers([](dl_phdr_info*, std::size_t, void*) {
    for (int i = 0; i < 10'000; ++i) {
      int a = i, b = 1;
      hogs::CompareInts(&a, &b);
    }
    return 0;
  });
}

// malloc stops who is asked to as it ends, but not over the loader's lock.
TEST_F(PreemptTest, ACallbackOfTheLoaderThatAllocatesIsNotSwitchedOff) {
  IterateBesideOthers([](dl_phdr_info*, std::size_t, void*) {
    for (int i = 0; i < 1'000; ++i) {
      void* volatile block = std::malloc(100);
      std::free(block);
    }
    return 0;
  });
}

TEST_F(PreemptTest, NoPreemptHoldsBothKindsOffAndNests) {
  for (const bool instrumented : {false, true}) {
    urge::run([&] {
      std::atomic<bool> ran{false};
      {
        const urge::no_preempt outer;
        { const urge::no_preempt inner; }
        urge::go([&] { ran = true; });
        const auto spin_until = [&](auto&& condition) {
          while (!condition()) {
            if (!instrumented) continue;
            int a = 1, b = 2;
            hogs::CompareInts(&a, &b);
            urge::checkpoint();
          }
        };
        const urge::sched::G* self = urge::sched::CurrentM()->curg.load();
        spin_until([&] { return self->preempt.load(); });
        const auto until = Clock::now() + 20ms;
        spin_until([&] { return Clock::now() >= until; });
        EXPECT_FALSE(ran);
      }
      // The request that came meanwhile is served as the last one ends.
      EXPECT_TRUE(ran);
    });
  }
}

// With hogs that come and go on the other processor nobody would ever look here for work.
TEST_F(PreemptTest, WhoWaitsBehindOneThatCannotBeStoppedRunsElsewhere) {
  urge::set_procs(2);
  settings().slice_ns = 1'000'000;
  for (const bool sleeps : {false, true}) {
    urge::run([&] {
      std::atomic<bool> stop{false}, ran{false};
      urge::wait_group group;
      for (int i = 0; i < 4; ++i) group.go([&] { CallFreeHog(stop); });
      // All have been on: two are, and the others wait.
      for (int i = 0; i < 10; ++i) urge::sleep_for(1ms);
      group.go([&] {
        if (sleeps) urge::sleep_for(1ms);
        ran = true;
      });
      if (sleeps) urge::yield();
      {
        const urge::no_preempt alone;
        CallFreeHog(ran);
      }
      stop = true;
      group.wait();
    });
  }
}

TEST_F(PreemptTest, AGoroutineThatBlocksSignalsIsLeftAloneUntilItUnblocksThem) {
  urge::run([] {
    std::atomic<bool> ran{false};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    urge::go([&] { ran = true; });
    const auto until = Clock::now() + 40ms;
    while (Clock::now() < until) urge::checkpoint();
    EXPECT_FALSE(ran);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    CallFreeHog(ran);
  });
}

std::atomic<int> g_alarms{0}, g_switched_in_handler{0};
std::atomic<std::uint64_t> g_others{0}, g_alarmed_goroutine{0};

// Runs on the goroutine's own stack: no SA_ONSTACK.
void OnAlarm(int) {
  // The thread may wait for the goroutine, which asked for its identity and so keeps it, while
  // others run.
  if (urge::goid() != g_alarmed_goroutine) return;
  const std::uint64_t before = g_others.load();
  const auto until = Clock::now() + 15ms;
  while (Clock::now() < until) {
    int a = 1, b = 2;
    hogs::CompareInts(&a, &b);
  }
  if (g_others.load() != before) ++g_switched_in_handler;
  ++g_alarms;
}

TEST_F(PreemptTest, AUsersHandlerOnTheGoroutinesStackIsNotSwitchedOff) {
  struct sigaction action {
  }, former;
  action.sa_handler = OnAlarm;
  sigaction(SIGALRM, &action, &former);
  urge::run([] {
    std::atomic<bool> stop{false};
    urge::wait_group group;
    group.go([&] {
      while (!stop) {
        ++g_others;
        urge::yield();
      }
    });
    g_alarmed_goroutine = urge::goid();
    // A timer sends the signal, so that no frame of the C library is below the handler.
    timer_t timer;
    {
      const urge::no_preempt hold;
      sigevent event{};
      event.sigev_notify = SIGEV_THREAD_ID;
      event.sigev_signo = SIGALRM;
      event._sigev_un._tid = gettid();
      ASSERT_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    }
    for (int i = 0; i < 5; ++i) {
      const itimerspec soon{{0, 50'000'000}, {0, 1'000'000}};
      timer_settime(timer, 0, &soon, nullptr);
      while (g_alarms.load(std::memory_order_relaxed) == i) {
      }
    }
    timer_delete(timer);
    stop = true;
    group.wait();
  });
  sigaction(SIGALRM, &former, nullptr);
  EXPECT_GE(g_alarms, 5);
  EXPECT_EQ(g_switched_in_handler, 0);
}

TEST_F(PreemptTest, ManyHogsOnManyProcessorsAllAdvance) {
  urge::set_procs(8);
  settings().slice_ns = 1'000'000;
  urge::run([] {
    constexpr int kHogs = 20;
    std::array<std::atomic<std::uint64_t>, kHogs> rounds{};
    std::atomic<bool> stop{false};
    urge::wait_group group;
    for (int i = 0; i < kHogs; ++i) {
      group.go([&, i] {
        while (!stop.load(std::memory_order_relaxed)) {
          rounds[static_cast<std::size_t>(i)].fetch_add(1, std::memory_order_relaxed);
        }
      });
    }
    for (auto& r : rounds) Await([&] { return r.load() > 0; });
    std::vector<std::uint64_t> seen;
    for (auto& r : rounds) seen.push_back(r.load());
    for (std::size_t i = 0; i < kHogs; ++i) Await([&] { return rounds[i].load() > seen[i]; });
    stop = true;
    group.wait();
  });
}

}  // namespace

// Goroutines that use CPU time in functions of known names, in a ratio of three to one: for tests
// of profiles. profiled PATH [own]: with "own", beside a SIGPROF handler and timer of its own.

#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <urge/urge.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

std::atomic<int> g_own_signals{0};

double CpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

[[gnu::noinline]] void Spin(int rounds) {
  for (int i = 0; i < rounds; ++i) asm volatile("" : : "r"(i));
}

}  // namespace

[[gnu::noinline]] void Much() {
  Spin(3'000'000);
  asm volatile("");
}
[[gnu::noinline]] void Little() {
  Spin(1'000'000);
  asm volatile("");
}

int main(int argc, char** argv) {
  const std::string_view path = argc > 1 ? argv[1] : "";
  const bool own = argc > 2;
  if (own) {
    struct sigaction action {};
    action.sa_handler = [](int) { ++g_own_signals; };
    action.sa_flags = SA_RESTART;
    sigaction(SIGPROF, &action, nullptr);
  }
  urge::run({.procs = 2}, [&] {
    if (!path.empty()) urge::profile_start(path, 250);
    if (own) {
      const itimerval each{{0, 10'000}, {0, 10'000}};
      setitimer(ITIMER_PROF, &each, nullptr);
    }
    urge::wait_group both;
    const double end = CpuSeconds() + 1;
    // Turn by turn in one goroutine each: the ratio doesn't depend on the scheduler.
    for (const char* name : {"worker", ""}) {
      both.add(1);
      urge::go({.name = name, .labels = {{"request", "17"}, {"a;b", "c\nd"}}}, [&] {
        while (CpuSeconds() < end) {
          Much();
          Little();
        }
        both.done();
      });
    }
    both.wait();
    if (!path.empty()) urge::profile_stop();
    // Ours that are still on their way must not end the process.
    Much();
  });
  std::printf("%d\n", g_own_signals.load());
}

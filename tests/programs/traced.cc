// Does what its first argument says, with the flight recorder on or a trace to the file that the
// second names: for traces that outlive their program.

#include <urge/urge.h>

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

using namespace std::chrono_literals;

namespace {

std::atomic<bool> g_stop{false};

void Work() {
  urge::chan<int> there, back;
  urge::go({.name = "worker"}, [=]() mutable {
    for (const int n : there) back.send(n);
    back.close();
  });
  for (int i = 0; i < 20; ++i) {
    there.send(i);
    (void)back.recv();
  }
  there.close();
  (void)back.recv();
}

[[gnu::noinline]] void Crash() {
  volatile int* volatile nowhere = nullptr;
  *nowhere = 1;
}

void Hog() {
  while (!g_stop.load(std::memory_order_relaxed)) {
  }
}

// Twice as many hogs as processors, which can't be preempted: half of them have to wait.
void Starve() {
  urge::wait_group all;
  for (int i = 0; i < 2 * urge::procs(); ++i) {
    all.add(1);
    urge::go({.name = "hog"}, [&] {
      {
        const urge::no_preempt guard;
        const auto until = std::chrono::steady_clock::now() + 400ms;
        while (std::chrono::steady_clock::now() < until) {
        }
      }
      all.done();
    });
  }
  all.wait();
}

void Storm() {
  urge::wait_group hogs;
  for (int i = 0; i < urge::procs() + 3; ++i) hogs.go(Hog);
  const urge::metrics before = urge::read_metrics();
  while (true) {
    Work();
    const urge::metrics since = urge::read_metrics() - before;
    if (since.acks_signal + since.acks_prologue >= 300) break;
  }
  g_stop = true;
  hogs.wait();
}

void Overrun() {
  urge::wait_group all;
  for (int i = 0; i < 2; ++i) {
    all.go([] {
      for (int n = 0; n < 300'000; ++n) urge::yield();
    });
  }
  all.wait();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (argc > 2) urge::trace_start(argv[2]);
  if (what == "deadlock") {
    urge::run([] {
      Work();
      urge::chan<int> never(0);
      (void)never.recv();
    });
  }
  urge::run([&] {
    Work();
    if (what == "crash") Crash();
    if (what == "terminate")
      urge::async([] { urge::go([] { throw std::runtime_error("lost"); }); }).get();
    if (what == "starve") Starve();
    if (what == "storm") Storm();
    if (what == "overrun") Overrun();
    if (what == "signal") {
      std::puts("ready");
      std::fflush(stdout);
      const auto wait = [&] {
        while (access(argv[3], F_OK) != 0) urge::sleep_for(1ms);
      };
      wait();
      // The file is there before it is said: a second one begins when that is done.
      unlink(argv[3]);
      raise(SIGUSR1);
      wait();
    }
    if (what == "terminate") urge::sleep_for(10s);
  });
  if (what == "thread-crash") Crash();
  if (argc > 2 && what != "exit") urge::trace_stop();
  return 0;
}

// The preemption signal's number, sent by others: the handler that the program had installed gets
// it, and preemption goes on. One argument: plain, merge or queue.
//
//   plain  other threads' signals, and the goroutine's own, reach the former handler
//   merge  a foreign signal is pending and blocked when urge sends its own to the same thread: the
//          two merge into the foreign one, and urge must not wait for its own for ever
//   queue  the user's allowance of queued signals is used up, so that urge's own lose their value

#include <urge/urge.h>

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

std::atomic<int> g_foreign{0};
volatile std::uint64_t g_sink;

void Former(int) { g_foreign.fetch_add(1); }

// A call-free loop: only a signal can stop it.
void SpinUntil(const std::atomic<bool>& stop) {
  std::uint64_t n = 0;
  while (!stop.load(std::memory_order_relaxed)) n += 3;
  g_sink = n;
}

void SpinFor(std::chrono::nanoseconds d) {
  const auto until = std::chrono::steady_clock::now() + d;
  while (std::chrono::steady_clock::now() < until) {
  }
}

// Another goroutine gets the only processor although the caller's loop makes no call.
void IsPreempted() {
  std::atomic<bool> ran{false};
  urge::go([&] { ran = true; });
  SpinUntil(ran);
}

}  // namespace

int main(int, char** argv) {
  struct sigaction action {};
  action.sa_handler = Former;
  sigaction(SIGURG, &action, nullptr);
  if (std::string_view(argv[1]) == "queue") {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_SIGPENDING, &none);
  }
  const bool merge = std::string_view(argv[1]) == "merge";
  urge::run({.procs = 1, .slice = std::chrono::milliseconds(2)}, [&] {
    if (!merge) {
      IsPreempted();
      for (int i = 1; i <= 100; ++i) {
        kill(getpid(), SIGURG);
        while (g_foreign.load() < i) urge::checkpoint();
        IsPreempted();
      }
      return;
    }
    sigset_t urg, before;
    sigemptyset(&urg);
    sigaddset(&urg, SIGURG);
    // Not preempted before: no timer is armed for the end of its slice, which would come to help.
    pthread_sigmask(SIG_BLOCK, &urg, &before);
    pthread_kill(pthread_self(), SIGURG);
    urge::go([] {});
    SpinFor(std::chrono::milliseconds(20));  // urge asks, and sends its signal
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    IsPreempted();
  });
  std::printf("foreign %d\n", g_foreign.load());
}

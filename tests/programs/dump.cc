// Writes a dump of goroutines in several states to stdout. With "running" as its argument there is
// also one that can't be stopped, and one in a system call: on two processors.

#include <unistd.h>
#include <urge/debug.h>
#include <urge/urge.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "tests/support/dump.h"

namespace {
std::atomic<bool> g_stop{false};
std::atomic<bool> g_held{false};
std::atomic<bool> g_spins{false};

// Does only the caller run, or want to?
bool OthersWait() {
  const std::string text = urge::test::DumpText();
  return text.find("[runnable]") == text.npos && text.find("[running]") == text.rfind("[running]");
}

[[gnu::always_inline]] inline void WaitFor(urge::chan<int>& c) {
  (void)c.recv();
  asm volatile("");
}
}  // namespace

[[gnu::noinline]] void Receive(urge::chan<int> c) {
  (void)c.recv();
  asm volatile("");  // no tail call
}
[[gnu::noinline]] void Lock(urge::mutex& mutex) {
  mutex.lock();
  mutex.unlock();
}
[[gnu::noinline]] void Sleep() {
  urge::sleep_for(std::chrono::seconds(60));
  asm volatile("");
}
[[gnu::noinline]] void Spin() {
  g_spins.store(true);
  while (!g_stop.load(std::memory_order_relaxed)) {
  }
}
[[gnu::noinline]] void Grandchild(urge::chan<int> c) {
  (void)c.recv();
  asm volatile("");
}
[[gnu::noinline]] void Child(urge::chan<int> c) {
  urge::go({.name = "grandchild"}, Grandchild, c);
  (void)c.recv();
  asm volatile("");
}
[[gnu::noinline]] void StartChild(urge::chan<int> c) {
  urge::go({.name = "child", .labels = {{"request", "17"}, {"who", "a \"b\"\n"}}}, Child, c);
}
[[gnu::noinline]] void Twin(urge::chan<int> c) { WaitFor(c); }
[[gnu::noinline]] void StayPut() {
  const urge::no_preempt hold;
  g_held.store(true);
  while (!g_stop.load(std::memory_order_relaxed)) {
  }
}
[[gnu::noinline]] void ReadFrom(int fd) {
  char byte;
  if (read(fd, &byte, 1) < 0) abort();
  asm volatile("");
}
[[gnu::noinline]] void Dump() {
  urge::dump_goroutines(STDOUT_FILENO);
  asm volatile("");
}

int main(int argc, char**) {
  const bool running = argc > 1;
  urge::run([=] {
    urge::chan<int> c(0);
    urge::mutex mutex;
    mutex.lock();
    urge::go({.name = "receiver"}, Receive, c);
    urge::go({.name = "locker"}, [&] { Lock(mutex); });
    urge::go({.name = "sleeper"}, Sleep);
    StartChild(c);
    for (int i = 0; i < 120; ++i) urge::go(Twin, c);
    // All of them have come to where they wait.
    do {
      urge::sleep_for(std::chrono::milliseconds(1));
    } while (!OthersWait());
    // Beside it and one that can't be stopped this one would not get on.
    if (!running) {
      urge::go({.name = "spinner"}, Spin);
      while (!g_spins.load()) urge::sleep_for(std::chrono::milliseconds(1));
    }
    int ends[2];
    if (pipe(ends) != 0) abort();
    if (running) {
      urge::go({.name = "reader"}, ReadFrom, ends[0]);
      urge::test::AwaitInDump("[syscall] \"reader\"");
      urge::go({.name = "stubborn"}, StayPut);
      // Without a yield: what is preempted waits for any processor, not for the stubborn one's.
      while (!g_held.load()) {
      }
    }
    Dump();
    g_stop.store(true);
    if (write(ends[1], "x", 1) != 1) abort();
    mutex.unlock();
  });
}

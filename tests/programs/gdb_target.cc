// Goroutines in several states, and then a breakpoint: for tests of scripts/urge_gdb.py.

#include <signal.h>
#include <unistd.h>
#include <urge/urge.h>

#include <atomic>
#include <chrono>
#include <cstdlib>

#include "tests/support/dump.h"

namespace {
std::atomic<bool> g_stop{false};
std::atomic<bool> g_held{false};
}  // namespace

[[gnu::noinline]] void Receive(urge::chan<int> c) {
  (void)c.recv();
  asm volatile("");  // no tail call
}
[[gnu::noinline]] void Spin() {
  while (!g_stop.load(std::memory_order_relaxed)) {
  }
}
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
[[gnu::noinline]] void Break() {
  raise(SIGTRAP);
  asm volatile("");
}

int main() {
  urge::run({.procs = 2, .slice = std::chrono::milliseconds(1)}, [] {
    urge::chan<int> c(0);
    urge::go({.name = "receiver"}, Receive, c);
    urge::go({.name = "spinner"}, Spin);
    urge::go({.name = "other spinner"}, Spin);
    urge::test::AwaitInDump("[chan receive] \"receiver\"");
    int ends[2];
    if (pipe(ends) != 0) abort();
    urge::go({.name = "reader"}, ReadFrom, ends[0]);
    urge::test::AwaitInDump("[syscall] \"reader\"");
    urge::go({.name = "stubborn"}, StayPut);
    // Without a yield: what is preempted waits for any processor, not for the stubborn one's.
    while (!g_held.load()) {
    }
    // Until somebody has waited for the stubborn one's processor.
    while (urge::read_metrics().deferred_no_preempt == 0) {
    }
    Break();
    g_stop.store(true);
    c.close();
    if (write(ends[1], "x", 1) != 1) abort();
  });
}

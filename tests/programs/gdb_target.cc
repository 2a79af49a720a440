// Goroutines in several states, and then a breakpoint: for tests of scripts/urge_gdb.py.

#include <signal.h>
#include <urge/urge.h>

#include <atomic>
#include <chrono>

namespace {
std::atomic<bool> g_stop{false};
}

[[gnu::noinline]] void Receive(urge::chan<int> c) {
  (void)c.recv();
  asm volatile("");  // no tail call
}
[[gnu::noinline]] void Spin() {
  while (!g_stop.load(std::memory_order_relaxed)) {
  }
}
[[gnu::noinline]] void Break() {
  raise(SIGTRAP);
  asm volatile("");
}

int main() {
  urge::run({.procs = 1, .slice = std::chrono::milliseconds(1)}, [] {
    urge::chan<int> c(0);
    urge::go({.name = "receiver"}, Receive, c);
    urge::go({.name = "spinner"}, Spin);
    urge::go({.name = "other spinner"}, Spin);
    for (int i = 0; i < 10; ++i) urge::sleep_for(std::chrono::milliseconds(1));
    Break();
    g_stop.store(true);
    c.close();
  });
}

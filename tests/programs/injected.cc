// A goroutine that never calls anything shares a processor with one that sleeps: it is preempted by
// injection only, and goes on as soon as the other sleeps again.

#include <urge/urge.h>

#include <atomic>
#include <chrono>

std::atomic<bool> g_stop{false};

[[gnu::noinline]] void CallFreeHog() {
  while (!g_stop.load(std::memory_order_relaxed)) {
  }
  asm volatile("");  // no tail call
}

int main() {
  using namespace std::chrono_literals;
  urge::run({.procs = 1, .slice = 1ms}, [] {
    urge::wait_group group;
    group.go(CallFreeHog);
    for (int i = 0; i < 100; ++i) urge::sleep_for(1ms);
    g_stop = true;
    group.wait();
  });
}

// Two goroutines that never call anything share a processor: each is preempted by injection only.

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
    for (int i = 0; i < 2; ++i) group.go(CallFreeHog);
    urge::sleep_for(100ms);
    g_stop = true;
    group.wait();
  });
}

// Writes a dump of goroutines in several states to stdout.

#include <unistd.h>
#include <urge/debug.h>
#include <urge/urge.h>

#include <atomic>

namespace {
std::atomic<bool> g_stop{false};
}

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
[[gnu::noinline]] void Dump() {
  urge::dump_goroutines(STDOUT_FILENO);
  asm volatile("");
}

int main() {
  urge::run([] {
    urge::chan<int> c(0);
    urge::mutex mutex;
    mutex.lock();
    urge::go({.name = "receiver"}, Receive, c);
    urge::go({.name = "locker"}, [&] { Lock(mutex); });
    urge::go({.name = "sleeper"}, Sleep);
    StartChild(c);
    for (int i = 0; i < 20; ++i) urge::sleep_for(std::chrono::milliseconds(1));
    urge::go({.name = "spinner"}, Spin);
    urge::sleep_for(std::chrono::milliseconds(5));
    Dump();
    g_stop.store(true);
    mutex.unlock();
  });
}

// watched [HOGS]: hogs, a ticker beside them and goroutines that wait, until stdin ends: something
// to watch. Without hogs there is no ticker either, and nothing happens at all.

#include <unistd.h>
#include <urge/urge.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>

namespace {
std::atomic<bool> g_stop{false};
}

int main(int argc, char** argv) {
  const int hogs = argc > 1 ? std::atoi(argv[1]) : 1;
  urge::run([&] {
    urge::chan<int> nobody_sends(0);
    urge::wait_group all;
    for (int i = 0; i < hogs; ++i) {
      all.add(1);
      urge::go({.name = "hog"}, [&] {
        while (!g_stop.load(std::memory_order_relaxed)) {
        }
        all.done();
      });
    }
    for (int i = 0; i < 3; ++i) {
      all.add(1);
      urge::go({.name = "receiver"}, [&] {
        static_cast<void>(nobody_sends.recv());
        all.done();
      });
    }
    if (hogs > 0) {
      all.add(1);
      urge::go({.name = "ticker"}, [&] {
        while (!g_stop.load()) urge::sleep_for(std::chrono::milliseconds(2));
        all.done();
      });
    }
    std::printf("%d\n", getpid());
    std::fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    g_stop.store(true);
    nobody_sends.close();
    all.wait();
  });
}

// Starts goroutines under a small RLIMIT_AS until there is no memory for another stack; then lets
// those that exist end, and starts more.

#include <urge/urge.h>

#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>

namespace {

std::size_t AddressSpaceBytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0;
  statm >> pages;
  return pages * 4096;
}

}  // namespace

int main() {
  urge::run({.procs = 1}, [] {
    // A thread for the hand-over is there before memory becomes tight.
    urge::blocking([] { urge::go([] {}); });
    while (urge::goroutines() != 1) urge::yield();
    const std::size_t limit = AddressSpaceBytes() + (std::size_t{100} << 20);
    const rlimit tight{limit, limit};
    setrlimit(RLIMIT_AS, &tight);

    for (int round = 0; round < 3; ++round) {
      urge::chan<int> gate(0);
      std::size_t started = 0, ended = 0;
      bool refused = false;
      try {
        for (;;) {
          urge::go([&, gate] {
            static_cast<void>(gate.recv());
            ++ended;
          });
          ++started;
        }
      } catch (const std::bad_alloc&) {
        refused = true;
      }
      // Other sizes are refused as well, and leave what there was.
      bool odd_refused = false;
      try {
        urge::go({.stack_size = std::size_t{1} << 30}, [] {});
      } catch (const std::bad_alloc&) {
        odd_refused = true;
      }
      if (!refused || !odd_refused || urge::goroutines() != started + 1) std::abort();
      gate.close();
      while (urge::goroutines() != 1) urge::yield();
      if (ended != started) std::abort();
      std::printf("%zu\n", started);
    }
  });
  std::puts("all ran");
}

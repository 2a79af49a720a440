// deadlock [poor]: the main goroutine and another one wait for what nobody sends; "poor": and there
// is no memory left to new.

#include <urge/urge.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string_view>

namespace {
std::atomic<bool> g_poor{false};
}

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  void* memory = g_poor ? nullptr : std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

[[gnu::noinline]] void WaitForEver(urge::chan<int> c) {
  (void)c.recv();
  asm volatile("");  // no tail call
}

int main(int argc, char** argv) {
  const bool poor = argc > 1 && argv[1] == std::string_view("poor");
  urge::run([poor] {
    urge::chan<int> c(0);
    urge::go({.name = "helper"}, WaitForEver, c);
    g_poor = poor;
    WaitForEver(c);
  });
}

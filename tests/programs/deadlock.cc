// The main goroutine and another one wait for what nobody sends.

#include <urge/urge.h>

[[gnu::noinline]] void WaitForEver(urge::chan<int> c) {
  (void)c.recv();
  asm volatile("");  // no tail call
}

int main() {
  urge::run([] {
    urge::chan<int> c(0);
    urge::go({.name = "helper"}, WaitForEver, c);
    WaitForEver(c);
  });
}

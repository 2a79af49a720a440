// A fatal error of the runtime on a goroutine, while another one waits.

#include <urge/urge.h>

#include "runtime/base/check.h"

[[gnu::noinline]] void FailInside() { urge::base::Fatal("something is rotten"); }

[[gnu::noinline]] void WaitForEver() {
  (void)urge::chan<int>::nil().recv();
  asm volatile("");  // no tail call
}

int main() {
  urge::run([] {
    urge::go(WaitForEver);
    urge::yield();
    FailInside();
  });
}

// A program outside the tree that uses what is installed: goroutines that compute and talk.
#include <urge/urge.h>

#include <cstdio>

namespace {

// Calls itself, so that -fsplit-stack has prologues to check.
long Fibonacci(int n) { return n < 2 ? n : Fibonacci(n - 1) + Fibonacci(n - 2); }

}  // namespace

int main() {
  const long sum = urge::run([] {
    urge::chan<long> results(2);
    for (int n = 24; n < 28; ++n) urge::go([=] { results.send(Fibonacci(n)); });
    long sum = 0;
    for (int n = 24; n < 28; ++n) sum += *results.recv();
    return sum;
  });
  std::printf("%ld\n", sum);
  return sum == 46368 + 75025 + 121393 + 196418 ? 0 : 1;
}

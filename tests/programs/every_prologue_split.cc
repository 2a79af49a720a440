// URGE_DEBUG=preemptprologue=1: how many prologues of a goroutine that nobody waits for stop it?

#include <urge/urge.h>

#include <cstdio>

namespace {

[[gnu::noinline]] int Add(int a, int b) {
  asm volatile("" : "+r"(a));
  volatile char room[64];  // a frame, hence a prologue that checks
  room[0] = static_cast<char>(b);
  return a + room[0];
}

[[gnu::noinline]] int Calls(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum = Add(sum, 1);
  return sum;
}

}  // namespace

// Prints the sum of 1000 calls, and the stops by prologue: free, and while they are held off.
int main() {
  urge::run([] {
    const auto stops = [] { return urge::read_metrics().acks_prologue; };
    const auto before = stops();
    int sum = Calls(1'000);
    const auto free = stops();
    {
      const urge::no_preempt hold;
      sum += Calls(1'000);
    }
    const auto held = stops();  // reading has prologues of its own
    std::printf("sum %d, stops %s, held off %s\n", sum, free - before >= 1'000 ? "all" : "few",
                held - free < 500 ? "all" : "few");
  });
}

// A runaway recursion in code without prologue checks.

#include <urge/urge.h>

[[gnu::noinline]] int RunAway(int depth) {
  volatile char room[100];
  room[0] = static_cast<char>(depth);
  return RunAway(depth + 1) + room[0];
}

[[gnu::noinline]] void StartRunning() {
  RunAway(0);
  asm volatile("");  // no tail call
}

int main() { urge::run(StartRunning); }

// A runaway recursion in code without prologue checks.

#include <urge/urge.h>

#include <string>

bool volatile g_end = false;

[[gnu::noinline]] int RunAway(int depth) {
  if (g_end) return depth;
  volatile char room[100];
  room[0] = static_cast<char>(depth);
  return RunAway(depth + 1) + room[0];
}

[[gnu::noinline]] void StartRunning() {
  RunAway(0);
  asm volatile("");  // no tail call
}

// Argument 1: bytes of stack.
int main(int argc, char** argv) {
  urge::go({.stack_size = argc > 1 ? std::stoul(argv[1]) : 0}, StartRunning);
  urge::run([] { urge::sleep_for(std::chrono::seconds(60)); });
}

// An exception that nobody catches, in a goroutine or ("thread") in a plain thread.

#include <urge/urge.h>

#include <stdexcept>
#include <string_view>
#include <thread>

[[gnu::noinline]] void ThrowNoSuchLuck() { throw std::runtime_error("no such luck"); }

[[gnu::noinline]] void Worker() {
  ThrowNoSuchLuck();
  asm volatile("");  // no tail call
}

[[gnu::noinline]] void StartWorker() {
  urge::go(Worker);
  urge::sleep_for(std::chrono::seconds(60));
}

int main(int argc, char** argv) {
  urge::start();
  if (argc > 1 && std::string_view(argv[1]) == "thread") {
    std::thread(Worker).join();
  } else {
    urge::run(StartWorker);
  }
}

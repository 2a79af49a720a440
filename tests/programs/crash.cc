// Ways to die by a signal: argument 1 names one.

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include <urge/urge.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

namespace {

int* volatile g_null = nullptr;
void (*volatile g_wild)() = nullptr;
volatile int g_zero = 0;

void PrintAndExit(int) {
  constexpr std::string_view kText = "the program's handler\n";
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, kText.data(), kText.size());
  _exit(7);
}

}  // namespace

[[gnu::noinline]] void DereferenceNull() { *g_null = 1; }
[[gnu::noinline]] void CallNull() {
  g_wild();
  asm volatile("");  // no tail call
}
[[gnu::noinline]] void DivideByZero() { g_zero = 100 / g_zero; }
[[gnu::noinline]] void Trap() { __builtin_trap(); }
[[gnu::noinline]] void Breakpoint() { asm volatile("int3"); }
[[gnu::noinline]] void CallAbort() { std::abort(); }
[[gnu::noinline]] void RaiseIt() {
  raise(SIGSEGV);
  asm volatile("");
}
[[gnu::noinline]] void ReadBeyondFile() {
  const int fd = memfd_create("empty", 0);
  *static_cast<volatile char*>(mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) = 1;
}

std::atomic<bool> g_holds{false};

// A thread says so: in a system call of its own the goroutine could be stopped.
void SayWhenHeldOff() {
  while (!g_holds) {
  }
  [[maybe_unused]] const ssize_t n = write(STDOUT_FILENO, "ready\n", 6);
}
[[gnu::noinline]] void HoldOff() {
  const urge::no_preempt hold;
  g_holds = true;
  for (volatile bool on = true; on;) {
  }
}

int main(int, char** argv) {
  const std::string_view kind = argv[1];
  if (kind == "handler before") signal(SIGSEGV, PrintAndExit);
  urge::start();
  if (kind == "handler after") signal(SIGSEGV, PrintAndExit);
  if (kind == "thread") {
    std::thread(DereferenceNull).join();
    return 0;
  }
  if (kind == "hold") std::thread(SayWhenHeldOff).detach();
  urge::run([kind] {
    if (kind == "call") CallNull();
    if (kind == "divide") DivideByZero();
    if (kind == "trap") Trap();
    if (kind == "breakpoint") Breakpoint();
    if (kind == "abort") CallAbort();
    if (kind == "raise") RaiseIt();
    if (kind == "bus") ReadBeyondFile();
    if (kind == "hold") HoldOff();
    if (kind == "sleep") {
      // On one processor the last line is printed when both others sleep.
      urge::go([] { urge::sleep_for(std::chrono::seconds(60)); });
      urge::go([] {
        urge::yield();
        [[maybe_unused]] const ssize_t n = write(STDOUT_FILENO, "ready\n", 6);
      });
      urge::sleep_for(std::chrono::seconds(60));
    }
    DereferenceNull();
  });
}

// fork_child exec|go: forks in a goroutine. The child either executes `echo from the child`, or
// tries to start a goroutine and prints what it is told.

#include <urge/urge.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>

namespace {

void Print(const char* text) {
  if (write(STDOUT_FILENO, text, std::strlen(text)) < 0) _exit(9);
}

[[noreturn]] void Child(bool exec) {
  if (exec) {
    execl("/bin/echo", "echo", "from the child", nullptr);
    _exit(8);
  }
  try {
    urge::go([] {});
    Print("started\n");
  } catch (const std::exception& e) {
    Print(e.what());
    Print("\n");
  }
  urge::yield();  // and this does no harm
  if (urge::goid() != 0) Print("still a goroutine\n");
  _exit(0);
}

}  // namespace

int main(int, char** argv) {
  const bool exec = std::string_view(argv[1]) == "exec";
  const int status = urge::run({.procs = 2}, [exec] {
    // Others go on in the parent all the while.
    std::atomic<bool> stop{false};
    urge::wait_group group;
    for (int i = 0; i < 3; ++i) {
      group.go([&] {
        while (!stop) {
#ifdef __SANITIZE_THREAD__
          urge::checkpoint();  // there no signal stops them
#endif
        }
      });
    }
    int status = 0;
    for (int i = 0; i < 5 && status == 0; ++i) {
      const pid_t child = fork();
      if (child == 0) Child(exec);
      urge::blocking([&] { waitpid(child, &status, 0); });
    }
    stop = true;
    group.wait();
    return status;
  });
  return WIFEXITED(status) ? WEXITSTATUS(status) : 7;
}

// disturbances PROCS WHAT: processes, signals and jumps in goroutines that are preempted all the
// time. Prints "done"; what goes wrong is said on stderr, and ends it with status 1.
//
//   fork vfork spawn system popen   children that exec or exit, from four goroutines at once
//   handler       a handler without SA_ONSTACK that calls read and write, on goroutines' threads
//   onstack       the same with SA_ONSTACK and a sigaltstack call in a goroutine
//   profiler      setitimer(ITIMER_PROF) and a handler that walks the stack
//   late_urgent   a handler for the preemption signal installed after the start: it is asked back,
//                 called for strangers' signals, and preemption goes on
//   longjmp       setjmp and longjmp, also out of a handler
//   deadlock      all wait for a condition that nobody can signal
//   no_deadlock   one waits in read for what a child sends later
//   child_signal  SIGCHLD's handler reaps children while goroutines block in calls

#include <urge/urge.h>

#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

extern char** environ;

namespace {

using namespace std::chrono_literals;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "not so: %s (errno %d)\n", what, errno);
  _exit(1);
}
#define REQUIRE(condition) Require((condition), #condition)

std::atomic<bool> g_stop{false};

// `n` goroutines do `work` `times` times each, beside hogs.
template <class Work>
void Storm(int n, int times, Work work) {
  urge::wait_group hogs, workers;
  for (int i = 0; i < 4; ++i) {
    hogs.go([] {
      while (!g_stop.load(std::memory_order_relaxed)) {
      }
    });
  }
  for (int i = 0; i < n; ++i) {
    workers.go([&] {
      for (int t = 0; t < times; ++t) work(t);
    });
  }
  workers.wait();
  g_stop = true;
  hogs.wait();
}

void Reap(pid_t child, int expected) {
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

char kTrue[] = "/bin/true";
char* const kTrueArguments[] = {kTrue, nullptr};

void Fork(int t) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (t % 2 == 0) execv(kTrue, kTrueArguments);
    _exit(t % 2 == 0 ? 99 : 7);
  }
  Reap(child, t % 2 == 0 ? 0 : 7);
}

void Vfork(int t) {
  const pid_t child = vfork();
  if (child == 0) {
    if (t % 2 == 0) execv(kTrue, kTrueArguments);
    _exit(t % 2 == 0 ? 99 : 7);
  }
  Reap(child, t % 2 == 0 ? 0 : 7);
}

void Spawn(int) {
  pid_t child;
  REQUIRE(posix_spawn(&child, kTrue, nullptr, nullptr, kTrueArguments, environ) == 0);
  Reap(child, 0);
}

void System(int t) {
  const int status = std::system(t % 2 == 0 ? "exit 3" : "exit 0");
  REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == (t % 2 == 0 ? 3 : 0));
}

void Popen(int) {
  FILE* out = popen("echo one; echo two", "r");
  REQUIRE(out != nullptr);
  char line[16];
  REQUIRE(std::fgets(line, sizeof(line), out) != nullptr && std::strcmp(line, "one\n") == 0);
  REQUIRE(std::fgets(line, sizeof(line), out) != nullptr && std::strcmp(line, "two\n") == 0);
  REQUIRE(std::fgets(line, sizeof(line), out) == nullptr);
  REQUIRE(pclose(out) == 0);
}

// ---- Signals
// --------------------------------------------------------------------------------------

std::atomic<int> g_handled{0};
int g_pipe[2];

// Puts a byte into the pipe and takes one out: calls that urge stands in for.
void OnSignal(int) {
  const int saved_errno = errno;
  char c = 's';
  if (write(g_pipe[1], &c, 1) != 1 || read(g_pipe[0], &c, 1) != 1) _exit(3);
  g_handled.fetch_add(1);
  errno = saved_errno;
}

void Handler(bool on_stack) {
  REQUIRE(pipe(g_pipe) == 0);
  struct sigaction action {
  }, back{};
  action.sa_handler = OnSignal;
  action.sa_flags = on_stack ? SA_ONSTACK | SA_RESTART : SA_RESTART;
  REQUIRE(sigaction(SIGUSR1, &action, nullptr) == 0);
  REQUIRE(sigaction(SIGUSR1, nullptr, &back) == 0);
  REQUIRE((back.sa_flags & SA_ONSTACK) == (on_stack ? SA_ONSTACK : 0));
  int other[2];
  REQUIRE(pipe(other) == 0);
  Storm(4, 200, [&](int) {
    if (on_stack) {
      static char stack[16384];
      stack_t mine{}, old{};
      mine.ss_sp = stack;
      mine.ss_size = sizeof(stack);
      REQUIRE(sigaltstack(&mine, &old) == 0);
      REQUIRE(old.ss_size >= sizeof(stack));
      mine.ss_size = 1 << 30;
      REQUIRE(sigaltstack(&mine, nullptr) == -1 && errno == ENOMEM);
    }
    REQUIRE(kill(getpid(), SIGUSR1) == 0);
    char c = 'g';
    REQUIRE(write(other[1], &c, 1) == 1);
    REQUIRE(read(other[0], &c, 1) == 1);
    urge::yield();
  });
  REQUIRE(g_handled > 0);
}

void OnProfile(int) {
  void* frames[32];
  const int saved_errno = errno;
  backtrace(frames, 32);
  g_handled.fetch_add(1);
  errno = saved_errno;
}

void Profiler() {
  void* frame;
  backtrace(&frame, 1);  // loads what it needs outside of a handler
  struct sigaction action {};
  action.sa_handler = OnProfile;
  action.sa_flags = SA_RESTART;
  REQUIRE(sigaction(SIGPROF, &action, nullptr) == 0);
  const itimerval often{{0, 1000}, {0, 1000}};
  REQUIRE(setitimer(ITIMER_PROF, &often, nullptr) == 0);
  Storm(4, 200, [](int) {
    std::string s;
    for (int i = 0; i < 2000; ++i) s += static_cast<char>('a' + i % 26);
    REQUIRE(s.size() == 2000);
    REQUIRE(usleep(100) == 0 || errno == EINTR);
  });
  while (g_handled < 10) {
  }
  const itimerval never{};
  REQUIRE(setitimer(ITIMER_PROF, &never, nullptr) == 0);
}

void LateUrgent() {
  struct sigaction action {
  }, back{};
  action.sa_handler = [](int) { g_handled.fetch_add(1); };
  REQUIRE(sigaction(SIGURG, &action, &back) == 0);
  REQUIRE(back.sa_handler == SIG_DFL);
  REQUIRE(sigaction(SIGURG, nullptr, &back) == 0);
  REQUIRE(back.sa_handler == action.sa_handler);
  Storm(2, 100, [](int) {
    const int before = g_handled;
    REQUIRE(kill(getpid(), SIGURG) == 0);
    while (g_handled == before) {
    }
  });
  REQUIRE(signal(SIGURG, SIG_IGN) == action.sa_handler);
  const int before = g_handled;
  g_stop = false;
  Storm(2, 20, [](int) { REQUIRE(kill(getpid(), SIGURG) == 0); });
  REQUIRE(g_handled == before);
}

// ---- Jumps
// ----------------------------------------------------------------------------------------

[[noreturn]] void JumpFromBelow(jmp_buf back, int depth) {
  volatile char room[200] = {};
  if (depth > room[0]) {
    const std::function<void()> deeper = [&] { JumpFromBelow(back, depth - 1); };
    deeper();
  }
  longjmp(back, 5);
}

sigjmp_buf g_out;
std::atomic<pthread_t> g_jumper;

void Longjmp() {
  Storm(4, 300, [](int t) {
    jmp_buf back;
    const volatile int mine = t;
    const int got = setjmp(back);
    if (got == 0) JumpFromBelow(back, 50);
    REQUIRE(got == 5 && mine == t);
  });
  // Out of a handler, back to where the goroutine was wired to the thread.
  struct sigaction action {};
  action.sa_handler = [](int) { siglongjmp(g_out, 1); };
  REQUIRE(sigaction(SIGUSR2, &action, nullptr) == 0);
  g_stop = false;
  Storm(1, 100, [](int) {
    urge::lock_os_thread();
    if (sigsetjmp(g_out, 1) == 0) {
      pthread_kill(pthread_self(), SIGUSR2);
      for (;;) {
      }
    }
    urge::unlock_os_thread();
  });
}

void ChildSignal() {
  static std::atomic<int> reaped{0};
  struct sigaction action {};
  action.sa_handler = [](int) {
    const int saved_errno = errno;
    while (waitpid(-1, nullptr, WNOHANG) > 0) reaped.fetch_add(1);
    errno = saved_errno;
  };
  action.sa_flags = SA_RESTART;
  REQUIRE(sigaction(SIGCHLD, &action, nullptr) == 0);
  Storm(4, 20, [](int) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) _exit(0);
    usleep(300);
  });
  while (reaped < 80) usleep(1000);
}

// ---- Deadlocks
// ------------------------------------------------------------------------------------

void Deadlock() {
  static std::mutex mutex;
  static std::condition_variable condition;
  urge::wait_group all;
  for (int i = 0; i < 3; ++i) {
    all.go([] {
      std::unique_lock lock(mutex);
      condition.wait(lock);
    });
  }
  all.wait();
}

void NoDeadlock() {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  if (fork() == 0) {
    usleep(200'000);  // ten times as long as a deadlock is watched
    _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
  }
  char c;
  REQUIRE(read(ends[0], &c, 1) == 1);
}

}  // namespace

int main(int, char** argv) {
  const std::string_view what = argv[2];
  urge::options options;
  options.procs = std::atoi(argv[1]);
  options.slice = 100us;
  urge::run(options, [what] {
    if (what == "fork")
      Storm(4, 25, Fork);
    else if (what == "vfork")
      Storm(4, 25, Vfork);
    else if (what == "spawn")
      Storm(4, 25, Spawn);
    else if (what == "system")
      Storm(4, 8, System);
    else if (what == "popen")
      Storm(4, 8, Popen);
    else if (what == "handler")
      Handler(false);
    else if (what == "onstack")
      Handler(true);
    else if (what == "profiler")
      Profiler();
    else if (what == "late_urgent")
      LateUrgent();
    else if (what == "longjmp")
      Longjmp();
    else if (what == "child_signal")
      ChildSignal();
    else if (what == "deadlock")
      Deadlock();
    else if (what == "no_deadlock")
      NoDeadlock();
    else if (what == "pthread_exit")
      pthread_exit(nullptr);
    else if (what == "pthread_cancel")
      pthread_cancel(pthread_self());
  });
  std::puts("done");
}

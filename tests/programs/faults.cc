// faults FUNCTION N [on]: a program that uses all that takes memory, threads and timers from the
// system, where the Nth call of FUNCTION fails (with "on": and every later one).
//
// Prints what it was told, and ends with status
//   0  all that could be started was done, whatever has failed
//   2  the runtime's own, after its report
//   4  as 0, but there were fewer than N calls
// Anything else, or no end, is a fault of the runtime's.
//
// plain: it stands in for functions of libc itself

#include <urge/urge.h>

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>

namespace {

using namespace std::chrono_literals;

std::string_view g_function;
std::atomic<bool> g_armed{false};
std::atomic<long> g_left{0};
bool g_and_later = false;

// Is this call the one to fail?
bool Fails(std::string_view function) {
  if (!g_armed.load(std::memory_order_relaxed) || function != g_function) return false;
  const long left = g_left.fetch_sub(1) - 1;
  return left == 0 || (g_and_later && left < 0);
}

template <class Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

int Fail(int error) {
  errno = error;
  return -1;
}

}  // namespace

extern "C" {

void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  static const auto real = Real<void* (*)(void*, size_t, int, int, int, off_t)>("mmap");
  if (Fails("mmap")) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return real(address, bytes, protection, flags, fd, offset);
}
int madvise(void* address, size_t bytes, int advice) noexcept {
  static const auto real = Real<int (*)(void*, size_t, int)>("madvise");
  return Fails("madvise") ? Fail(EAGAIN) : real(address, bytes, advice);
}
int mprotect(void* address, size_t bytes, int protection) noexcept {
  static const auto real = Real<int (*)(void*, size_t, int)>("mprotect");
  return Fails("mprotect") ? Fail(ENOMEM) : real(address, bytes, protection);
}
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                   void* arg) {
  using Function = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = Real<Function>("pthread_create");
  return Fails("clone") ? EAGAIN : real(thread, attributes, body, arg);
}
int sigaltstack(const stack_t* now, stack_t* before) noexcept {
  static const auto real = Real<int (*)(const stack_t*, stack_t*)>("sigaltstack");
  return Fails("sigaltstack") ? Fail(ENOMEM) : real(now, before);
}
int sigaction(int number, const struct sigaction* now, struct sigaction* before) noexcept {
  static const auto real =
      Real<int (*)(int, const struct sigaction*, struct sigaction*)>("sigaction");
  return Fails("sigaction") ? Fail(EINVAL) : real(number, now, before);
}
int timer_create(clockid_t clock, sigevent* event, timer_t* timer) noexcept {
  static const auto real = Real<int (*)(clockid_t, sigevent*, timer_t*)>("timer_create");
  return Fails("timer_create") ? Fail(EAGAIN) : real(clock, event, timer);
}
int timer_settime(timer_t timer, int flags, const itimerspec* now, itimerspec* before) noexcept {
  static const auto real =
      Real<int (*)(timer_t, int, const itimerspec*, itimerspec*)>("timer_settime");
  return Fails("timer_settime") ? Fail(EINVAL) : real(timer, flags, now, before);
}
long syscall(long number, ...) noexcept {
  static const auto real = Real<long (*)(long, ...)>("syscall");
  va_list list;
  va_start(list, number);
  long arg[6];
  for (long& a : arg) a = va_arg(list, long);
  va_end(list);
  if (number == SYS_membarrier && Fails("membarrier")) return Fail(ENOSYS);
  if (number == SYS_rt_tgsigqueueinfo && Fails("tgsigqueueinfo")) return Fail(EAGAIN);
  return real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

}  // extern "C"

[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return Fails("new") ? nullptr : std::malloc(bytes);
}
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  void* memory = operator new(bytes, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t align,
                                     const std::nothrow_t&) noexcept {
  const auto a = static_cast<std::size_t>(align);
  return Fails("new") ? nullptr : std::aligned_alloc(a, (bytes + a - 1) / a * a);
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t align) {
  void* memory = operator new(bytes, align, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace {

std::atomic<int> g_reports{0};

// Calls f; what it throws is a report.
template <class F>
bool Try(const char* what, F&& f) {
  try {
    f();
    return true;
  } catch (const std::exception& error) {
    if (g_reports.fetch_add(1) < 10) std::printf("%s: %s\n", what, error.what());
    return false;
  }
}

void Spin(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 1'000; ++i) asm volatile("");
  }
}

// Starts as many goroutines as it can, by every kind of stack, and waits for these.
void Work() {
  urge::wait_group group;
  std::atomic<int> ran{0};
  int started = 0;
  const auto go = [&](const urge::go_options& options, auto body) {
    group.add(1);
    const bool good = Try("go", [&] {
      urge::go(options, [&group, &ran, body] {
        Try("goroutine", body);
        ++ran;
        group.done();
      });
    });
    if (!good) group.done();
    started += good;
  };
  for (int i = 0; i < 20; ++i) {
    go({}, [] { Spin(300us); });                                     // preempted by signal
    go({}, [] { urge::sleep_for(100us); });                          // timers
    go({.stack_size = 64 << 10}, [] { urge::yield(); });             // a mapping of its own
    if (i < 4) go({}, [] { urge::blocking([] { usleep(300); }); });  // threads
    if (i == 7) {
      go({}, [] {
        urge::lock_os_thread();  // takes its thread along
        urge::yield();
      });
    }
    if (i == 10) Try("set_procs", [] { urge::set_procs(4); });
  }
  Try("channel", [&] {
    const urge::chan<int> c(1);
    go({.name = "sender", .labels = {{"key", "value"}}}, [c] {
      c.send(1);
      c.close();
    });
    while (c.recv()) {
    }
  });
  group.wait();
  std::printf("%s\n", ran == started ? "all ran" : "SOME ARE LOST");
  if (ran != started) std::_Exit(5);
}

}  // namespace

int main(int, char** argv) {
  g_function = argv[1];
  const long n = std::atol(argv[2]);
  g_left = n;
  g_and_later = argv[3] != nullptr;
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  // Found now: handlers call these, too, and dlsym, which takes a lock, is not for handlers.
  itimerspec none{};
  timer_settime(nullptr, 0, &none, nullptr);
  syscall(SYS_getpid);
  g_armed = true;
  // What failed can be tried again.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (Try("start", [] { urge::start({.procs = 2, .slice = 100us}); })) break;
  }
  const bool good = Try("run", [] { urge::run(Work); });
  g_armed = false;
  const bool reached = g_left.load() <= 0;
  std::printf("%s\n", good ? "done" : "refused");
  return reached ? 0 : 4;
}

// no_threads SUCCEED FAIL: pthread_create succeeds SUCCEED times for the runtime, then fails with
// EAGAIN FAIL times. Starts the runtime, tries again after an exception, and then uses it.

#include <urge/urge.h>

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace {
std::atomic<int> g_succeed{0}, g_fail{0};
}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*body)(void*), void* arg) {
  using Function = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pthread_create"));
  if (g_succeed.fetch_sub(1) <= 0 && g_fail.fetch_sub(1) > 0) return EAGAIN;
  return real(thread, attributes, body, arg);
}

int main(int, char** argv) {
  g_succeed = std::atoi(argv[1]);
  g_fail = std::atoi(argv[2]);
  try {
    urge::start({.procs = 2});
  } catch (const std::exception& e) {
    std::printf("%s\n", e.what());
  }
  // Whatever could not be had then can be had now.
  int sum = 0;
  urge::run([&] {
    urge::wait_group group;
    urge::chan<int> c(0);
    for (int i = 0; i < 100; ++i) group.go([&, i] { c.send(i); });
    for (int i = 0; i < 100; ++i) sum += c.recv().value();
    group.wait();
  });
  // A stranger's signal still finds its way: it is ignored by default.
  raise(SIGURG);
  std::printf("sum %d, procs %d\n", sum, urge::procs());
}

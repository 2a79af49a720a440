// What these tests do to each other: computing without a call, and counting threads.

#ifndef URGE_TESTS_INTERPOSE_HOGS_H_
#define URGE_TESTS_INTERPOSE_HOGS_H_

#include <dirent.h>

#include <atomic>
#include <chrono>

#include <urge/urge.h>

namespace urge::testing {

// Computes for about that long.
inline void Spin(std::chrono::nanoseconds d) {
  const auto until = std::chrono::steady_clock::now() + d;
  while (std::chrono::steady_clock::now() < until) {
    for (int i = 0; i < 1000; ++i) asm volatile("");
  }
}

// Threads of this process.
inline int Threads() {
  DIR* tasks = opendir("/proc/self/task");
  int n = 0;
  while (const dirent* entry = readdir(tasks)) n += entry->d_name[0] != '.';
  closedir(tasks);
  return n;
}

// Goroutines that compute without a call until the object goes.
class Hogs {
 public:
  explicit Hogs(int n) {
    for (int i = 0; i < n; ++i) {
      group_.go([this] {
        while (!stop_.load(std::memory_order_relaxed)) {
        }
      });
    }
  }
  ~Hogs() {
    stop_ = true;
    group_.wait();
  }

 private:
  std::atomic<bool> stop_{false};
  wait_group group_;
};

}  // namespace urge::testing

#endif  // URGE_TESTS_INTERPOSE_HOGS_H_

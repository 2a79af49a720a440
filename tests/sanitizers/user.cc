// A user's program, built with a sanitizer and linked with an ordinary liburge. Its argument says
// what it does: "good" is without fault, every other mode commits the one it is named after.

#include <urge/urge.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;

void Spin(int n) {
  for (int i = 0; i < n; ++i) asm volatile("");
}

void Require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "user: %s\n", what);
  std::_Exit(3);
}

// Frames with red zones, left by return and by exception, on a stack that changes threads.
enum class Yields { kYes, kNo };
[[gnu::noinline]] int Deep(int depth, bool throws, Yields yields = Yields::kYes) {
  volatile char block[100];
  std::memset(const_cast<char*>(block), depth, sizeof(block));
  Spin(2'000);
  if (depth == 0) {
    if (throws) throw std::runtime_error("from the depth");
    if (yields == Yields::kYes) urge::yield();
    return block[99];
  }
  const int below = Deep(depth - 1, throws, yields);
  Require(block[0] == depth && block[99] == depth, "a frame has changed");
  return below + block[50];
}

void Frames() {
  for (int round = 0; round < 20; ++round) {
    Require(Deep(20, false) == 210, "a wrong sum");
    try {
      Deep(20, true);
      Require(false, "no exception");
    } catch (const std::runtime_error& error) {
      urge::yield();
      Require(std::string(error.what()) == "from the depth", "another exception");
    }
  }
}

// What goroutines hand on by each of the means there are, without atomics of their own.
void HandOver() {
  urge::chan<int*> unbuffered, buffered(4);
  urge::mutex mutex;
  urge::wait_group group;
  std::vector<int> guarded;
  int sum = 0;
  for (int i = 0; i < 4; ++i) {
    group.go([&] {
      for (int j = 0; j < 200; ++j) {
        auto* number = new int(j);
        (j % 2 == 0 ? unbuffered : buffered).send(number);
        const std::lock_guard lock(mutex);
        guarded.push_back(j);
        if (j % 16 == 0) urge::yield();  // contended
      }
    });
  }
  for (int i = 0; i < 2; ++i) {
    group.go([&, i] {
      for (int j = 0; j < 400; ++j) {
        const std::unique_ptr<int> number(*(i == 0 ? unbuffered : buffered).recv());
        const std::lock_guard lock(mutex);
        sum += *number;
      }
    });
  }
  group.wait();
  Require(sum == 4 * 199 * 100 && guarded.size() == 800, "something is lost");

  std::vector<int> results(50);
  std::vector<urge::future<int*>> futures;
  for (int i = 0; i < 50; ++i) {
    futures.push_back(urge::async([&results, i] {
      results[static_cast<std::size_t>(i)] = i;
      return &results[static_cast<std::size_t>(i)];
    }));
  }
  for (int i = 0; i < 50; ++i) {
    Require(*futures[static_cast<std::size_t>(i)].get() == i, "a wrong result");
  }

  urge::chan<int> closed;
  int before_close = 0;
  group.go([&] {
    before_close = 7;
    closed.close();
  });
  while (!closed.closed()) urge::yield();
  Require(before_close == 7, "what was done before the close");
  group.wait();
}

// Ends that leave red zones on the stack that the next one gets.
void ComeAndGo() {
  urge::wait_group group;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 50; ++i) {
      group.go([i] {
        volatile char block[3000];
        block[0] = static_cast<char>(i);
        block[2999] = static_cast<char>(i);
        if (i % 8 == 0) urge::sleep_for(100us);
        Spin(1'000);
      });
    }
    group.wait();
  }
}

void Good() {
  urge::wait_group group;
  for (int i = 0; i < 4; ++i) group.go(Frames);
  group.go(HandOver);
  group.go(ComeAndGo);
  group.go([] {
    for (int i = 0; i < 20; ++i) urge::blocking([] { std::puts("blocks"); });
  });
  group.wait();
}

// What only the stack of a goroutine that waits for ever refers to is no leak.
void Keep() {
  urge::go([] {
    const auto kept = std::make_unique<std::string>(100, 'k');
    static_cast<void>(urge::chan<int>().recv());
    std::puts(kept->c_str());
  });
  urge::yield();
}

// A goroutine that calls, but never blocks or yields, beside one that it waits for, on one
// processor: prologues must stop it.
void Share() {
  std::atomic<bool> seen{false};
  urge::go([&] { seen = true; });
  while (!seen) Deep(3, false, Yields::kNo);
}

// More than can be kept by addresses that happen to lie about.
[[gnu::noinline]] void Leak() {
  for (int i = 0; i < 20; ++i) {
    char* volatile lost = new char[1'000];
    lost = nullptr;
  }
}

// Leaves nothing of what Leak() has left on the stack.
[[gnu::noinline]] void Wipe() {
  volatile char block[60'000];
  std::memset(const_cast<char*>(block), 0, sizeof(block));
}

[[gnu::noinline]] volatile char* Escape() {
  volatile char local[64];
  local[0] = 1;
  volatile char* volatile address = local;
  return address;
}

int g_raced = 0;

void Run(std::string_view mode) {
  if (mode == "good") {
    Good();
  } else if (mode == "keep") {
    Keep();
  } else if (mode == "share") {
    Share();
  } else if (mode == "stack-buffer-overflow") {
    urge::async([] {
      volatile char block[32];
      block[0] = 1;
      urge::yield();
      volatile std::size_t past = 33;
      block[past] = 1;
    }).get();
  } else if (mode == "heap-use-after-free") {
    auto owner = std::make_unique<int>(1);
    volatile int* kept = owner.get();
    urge::async([&] { owner.reset(); }).get();
    *kept = 2;
  } else if (mode == "stack-use-after-return") {
    urge::async([] {
      volatile char* gone = Escape();
      urge::yield();
      *gone = 1;
    }).get();
  } else if (mode == "leak") {
    urge::async([] {
      Leak();
      Wipe();
    }).get();
  } else if (mode == "race") {
    // On one processor: they never run at the same time, but nothing orders them either.
    urge::wait_group group;
    for (int i = 0; i < 2; ++i) {
      group.go([] {
        ++g_raced;
        urge::yield();
      });
    }
    group.wait();
  } else {
    std::fprintf(stderr, "user: no such mode\n");
    std::_Exit(2);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "good";
  urge::start({.procs = mode == "race" || mode == "share" ? 1 : 2, .slice = 200us});
  urge::run([&] { Run(mode); });
  // The prologue's mark alone stops code under ThreadSanitizer.
  std::printf("by signal: %llu\ndone\n",
              static_cast<unsigned long long>(urge::read_metrics().acks_signal));
}

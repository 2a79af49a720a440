// Waiting inside urge::blocking while the only processor is busy: each way of waiting in turn.
// Prints "done". A wait that gives its lock to nobody hangs here.

#include <urge/urge.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>

using namespace std::chrono_literals;

namespace {

void Channels() {
  urge::chan<int> there(0), back(0);
  urge::wait_group group;
  group.go([&] {
    for (int i = 0; i < 200; ++i) {
      urge::blocking([&] { back.send(there.recv().value() + 1); });
    }
  });
  for (int i = 0; i < 200; ++i) {
    there.send(i);
    if (back.recv().value() != i + 1) std::abort();
  }
  group.wait();
}

// Both contend for one lock all the time, one of them without a processor.
void ContendedChannel() {
  urge::chan<int> c(1);
  urge::wait_group group;
  group.go([&] {
    urge::blocking([&] {
      for (int i = 0; i < 2000; ++i) c.send(i);
    });
  });
  group.go([&] {
    for (int i = 0; i < 2000; ++i) {
      while (!c.try_recv().has_value()) urge::yield();
    }
  });
  group.wait();
}

void Mutexes() {
  urge::mutex m;
  long count = 0;
  urge::wait_group group;
  for (int g = 0; g < 4; ++g) {
    group.go([&, g] {
      const auto work = [&] {
        for (int i = 0; i < 500; ++i) {
          std::lock_guard lock(m);
          ++count;
        }
      };
      if (g % 2 == 0) {
        urge::blocking(work);
      } else {
        work();
      }
    });
  }
  group.wait();
  if (count != 2000) std::abort();
}

void Sleeps() {
  urge::wait_group group;
  for (int g = 0; g < 8; ++g) {
    group.go([] {
      urge::blocking([] {
        for (int i = 0; i < 5; ++i) urge::sleep_for(1ms);
      });
    });
  }
  group.wait();
}

void Futures() {
  for (int i = 0; i < 200; ++i) {
    const int got = urge::blocking([i] { return urge::async([i] { return i; }).get(); });
    if (got != i) std::abort();
  }
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  urge::run({.procs = 1, .slice = 200us}, [] {
    Channels();
    std::puts("channels");
    Mutexes();
    std::puts("mutexes");
    Sleeps();
    std::puts("sleeps");
    Futures();
    std::puts("futures");
    ContendedChannel();
    std::puts("contended channel");
  });
  std::puts("done");
}

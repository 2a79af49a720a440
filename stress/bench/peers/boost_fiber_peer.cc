// The figures of preempt_bench and core_bench for Boost.Fiber, on one thread.
//
// link: -lboost_fiber -lboost_context
// needs: boost/fiber/all.hpp

#include <boost/fiber/all.hpp>
#include <mutex>

#include "stress/bench/peers/peer.h"

namespace {

namespace fibers = boost::fibers;
using namespace std::chrono_literals;
using peer::Clock;
using peer::kBatch;
using peer::kHogs;
using peer::kOperations;

void Yielders() {
  const auto yielder = [] {
    for (int n = 0; n < kOperations / 2; ++n) boost::this_fiber::yield();
  };
  fibers::fiber a(yielder), b(yielder);
  a.join();
  b.join();
}

// Spawning costs microseconds here, so there are fewer of them.
constexpr int kSpawns = kOperations / 10;
void Spawns() {
  for (int batch = 0; batch < kSpawns / kBatch; ++batch) {
    std::vector<fibers::fiber> all;
    for (int i = 0; i < kBatch; ++i) all.emplace_back([] {});
    for (fibers::fiber& fiber : all) fiber.join();
  }
}

constexpr int kRoundTrips = kOperations / 4;
void RoundTrips() {
  fibers::unbuffered_channel<int> there, back;
  fibers::fiber other([&] {
    for (const int n : there) back.push(n);
  });
  for (int n = 0; n < kRoundTrips; ++n) {
    there.push(n);
    back.value_pop();
  }
  there.close();
  other.join();
}

void Buffered() {
  fibers::buffered_channel<int> pipe(128);
  fibers::fiber sender([&] {
    for (int n = 0; n < kOperations; ++n) pipe.push(n);
    pipe.close();
  });
  int element;
  while (pipe.pop(element) == fibers::channel_op_status::success) {
  }
  sender.join();
}

void Mutexes() {
  fibers::mutex mutex;
  long counter = 0;
  std::vector<fibers::fiber> all;
  for (int f = 0; f < 4; ++f) {
    all.emplace_back([&] {
      for (int n = 0; n < kOperations / 4; ++n) {
        std::lock_guard lock(mutex);
        ++counter;
        asm volatile("" : "+m"(counter));
      }
    });
  }
  for (fibers::fiber& fiber : all) fiber.join();
}

// Ticks that come while the hogs run; a fiber that never yields lets nobody in.
void TickGap() {
  const auto end = Clock::now() + 5s;
  std::vector<double> gaps_ms;
  fibers::fiber ticker(fibers::launch::dispatch, [&] {
    for (auto last = Clock::now();;) {
      boost::this_fiber::sleep_for(1ms);
      const auto now = Clock::now();
      if (now >= end) return;
      gaps_ms.push_back(peer::MsBetween(last, now));
      last = now;
    }
  });
  std::vector<fibers::fiber> hogs;
  for (int i = 0; i < kHogs; ++i) {
    hogs.emplace_back([&] { peer::Hog([&] { return Clock::now() >= end; }); });
  }
  for (fibers::fiber& hog : hogs) hog.join();
  ticker.join();
  peer::Quantiles("tick gap among 4 hogs", gaps_ms);
}

}  // namespace

int main() {
  TickGap();
  peer::Quantiles("slice of 4 hogs", {});  // a hog runs until it ends
  peer::Figure("yield, 1 proc", peer::NsPerOperation(kOperations, Yielders), "ns");
  peer::Figure("spawn + join, batches of 1000, 1 proc", peer::NsPerOperation(kSpawns, Spawns),
               "ns");
  peer::Figure("unbuffered round trip, 1 proc", peer::NsPerOperation(kRoundTrips, RoundTrips),
               "ns");
  peer::Figure("buffered element, 1 proc", peer::NsPerOperation(kOperations, Buffered), "ns");
  peer::Figure("contended mutex, 1 proc", peer::NsPerOperation(kOperations, Mutexes), "ns");
}

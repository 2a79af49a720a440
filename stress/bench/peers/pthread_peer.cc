// The figures of preempt_bench and core_bench for kernel threads; one proc is one pinned processor.

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "stress/bench/peers/peer.h"

namespace {

using namespace std::chrono_literals;
using peer::Clock;
using peer::kHogs;
using peer::kOperations;

void UseProcessors(int count) {
  cpu_set_t all, some;
  CPU_ZERO(&some);
  static const cpu_set_t kAtStart = [] {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  all = kAtStart;
  for (int cpu = 0; cpu < CPU_SETSIZE && count > 0; ++cpu) {
    if (CPU_ISSET(cpu, &all)) {
      CPU_SET(cpu, &some);
      --count;
    }
  }
  sched_setaffinity(0, sizeof some, &some);
}

// A channel as one writes it with a mutex and condition variables.
class Channel {
 public:
  explicit Channel(std::size_t capacity) : capacity_(capacity) {}
  void Send(int value) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [&] { return values_.size() < std::max<std::size_t>(capacity_, 1); });
    values_.push_back(value);
    not_empty_.notify_one();
    if (capacity_ == 0) taken_.wait(lock, [&] { return values_.empty(); });
  }
  std::optional<int> Receive() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [&] { return !values_.empty() || closed_; });
    if (values_.empty()) return std::nullopt;
    const int value = values_.front();
    values_.pop_front();
    not_full_.notify_one();
    if (capacity_ == 0) taken_.notify_one();
    return value;
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    not_empty_.notify_all();
  }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable not_full_, not_empty_, taken_;
  std::deque<int> values_;
  bool closed_ = false;
};

void Yielders() {
  const auto yielder = [] {
    for (int n = 0; n < kOperations / 2; ++n) sched_yield();
  };
  std::thread a(yielder), b(yielder);
  a.join();
  b.join();
}

// Each costs tens of microseconds.
constexpr int kSpawns = 10'000, kSpawnBatch = 1'000;
void Spawns() {
  for (int batch = 0; batch < kSpawns / kSpawnBatch; ++batch) {
    std::vector<std::thread> all;
    for (int i = 0; i < kSpawnBatch; ++i) all.emplace_back([] {});
    for (std::thread& thread : all) thread.join();
  }
}

constexpr int kRoundTrips = 10'000;
void RoundTrips() {
  Channel there(0), back(0);
  std::thread other([&] {
    while (const auto n = there.Receive()) back.Send(*n);
  });
  for (int n = 0; n < kRoundTrips; ++n) {
    there.Send(n);
    back.Receive();
  }
  there.Close();
  other.join();
}

void Buffered() {
  Channel pipe(128);
  std::thread sender([&] {
    for (int n = 0; n < kOperations; ++n) pipe.Send(n);
    pipe.Close();
  });
  while (pipe.Receive()) {
  }
  sender.join();
}

void Mutexes() {
  std::mutex mutex;
  long counter = 0;
  std::vector<std::thread> all;
  for (int t = 0; t < 4; ++t) {
    all.emplace_back([&] {
      for (int n = 0; n < kOperations / 4; ++n) {
        const std::lock_guard lock(mutex);
        ++counter;
        asm volatile("" : "+m"(counter));
      }
    });
  }
  for (std::thread& thread : all) thread.join();
}

void Preemption() {
  UseProcessors(1);
  for (const bool with_ticker : {true, false}) {
    std::atomic<bool> stop{false};
    std::vector<double> gaps_ms, slices_ms;
    std::mutex mutex;
    std::vector<std::thread> all;
    for (int i = 0; i < kHogs; ++i) {
      all.emplace_back([&] {
        const std::vector<double> mine = peer::Hog([&] { return stop.load(); });
        const std::lock_guard lock(mutex);
        slices_ms.insert(slices_ms.end(), mine.begin(), mine.end());
      });
    }
    if (with_ticker) {
      all.emplace_back([&] {
        for (auto last = Clock::now(); !stop;) {
          std::this_thread::sleep_for(1ms);
          const auto now = Clock::now();
          gaps_ms.push_back(peer::MsBetween(last, now));
          last = now;
        }
      });
    }
    std::this_thread::sleep_for(5s);
    stop = true;
    for (std::thread& thread : all) thread.join();
    if (with_ticker) {
      peer::Quantiles("tick gap among 4 hogs", gaps_ms);
    } else {
      peer::Quantiles("slice of 4 hogs", slices_ms);
    }
  }
}

}  // namespace

int main() {
  Preemption();
  for (const int procs : {1, 2}) {
    UseProcessors(procs);
    const std::string where = procs == 1 ? ", 1 proc" : ", 2 procs";
    peer::Figure("yield" + where, peer::NsPerOperation(kOperations, Yielders), "ns");
    peer::Figure("spawn + join, batches of 1000" + where, peer::NsPerOperation(kSpawns, Spawns),
                 "ns");
    peer::Figure("unbuffered round trip" + where, peer::NsPerOperation(kRoundTrips, RoundTrips),
                 "ns");
    peer::Figure("buffered element" + where, peer::NsPerOperation(kOperations, Buffered), "ns");
    peer::Figure("contended mutex" + where, peer::NsPerOperation(kOperations, Mutexes), "ns");
  }
}

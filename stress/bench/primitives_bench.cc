// What the everyday operations cost, with google-benchmark: what core_bench has, and more of it.
//
// link: -lbenchmark
//
// Every figure is nanoseconds of wall clock for one operation, named operation/Nproc; run it with
// --benchmark_filter=chan and so on. One google-benchmark iteration is a batch, run as a goroutine,
// so that starting the batch doesn't count.

#include <benchmark/benchmark.h>

#include <urge/urge.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// A batch does `operations` of what is measured.
using Batch = std::function<void()>;

void Measure(benchmark::State& state, int procs, std::int64_t operations, const Batch& batch) {
  urge::run([] {});
  const int former = urge::set_procs(procs);
  urge::run([&] {
    batch();  // warms stacks and caches
    for (auto _ : state) {
      const auto begin = Clock::now();
      batch();
      const std::chrono::duration<double> d = Clock::now() - begin;
      state.SetIterationTime(d.count() / static_cast<double>(operations));
    }
  });
  urge::set_procs(former);
}

constexpr std::int64_t kYields = 100'000;
void Yield() {
  urge::wait_group wg;
  for (int g = 0; g < 2; ++g) {
    wg.go([] {
      for (std::int64_t i = 0; i < kYields / 2; ++i) urge::yield();
    });
  }
  wg.wait();
}

constexpr std::int64_t kSpawns = 1'000;
void SpawnJoin() {
  urge::wait_group wg;
  for (std::int64_t i = 0; i < kSpawns; ++i) wg.go([] {});
  wg.wait();
}

constexpr std::int64_t kAsyncs = 10'000;
void AsyncGet() {
  for (std::int64_t i = 0; i < kAsyncs; ++i) urge::async([] { return 1; }).get();
}

constexpr std::int64_t kRoundTrips = 50'000;
template <class T>
void RoundTrip() {
  urge::chan<T> ping, pong;
  urge::wait_group wg;
  wg.go([&] {
    for (auto& v : ping) pong.send(std::move(v));
  });
  T v{};
  for (std::int64_t i = 0; i < kRoundTrips; ++i) {
    ping.send(std::move(v));
    v = std::move(*pong.recv());
  }
  ping.close();
  wg.wait();
}

constexpr std::int64_t kElements = 200'000;
template <class T>
void Spsc() {
  urge::chan<T> c(128);
  urge::wait_group wg;
  wg.go([&] {
    for (std::int64_t i = 0; i < kElements; ++i) c.send(T{});
    c.close();
  });
  std::int64_t n = 0;
  while (c.recv()) ++n;
  benchmark::DoNotOptimize(n);
  wg.wait();
}

constexpr std::int64_t kLocks = 200'000;
void Mutex(int goroutines) {
  urge::mutex m;
  std::int64_t n = 0;
  urge::wait_group wg;
  for (int g = 0; g < goroutines; ++g) {
    wg.go([&] {
      for (std::int64_t i = 0; i < kLocks / goroutines; ++i) {
        std::lock_guard lock(m);
        ++n;
      }
    });
  }
  wg.wait();
  benchmark::DoNotOptimize(n);
}

constexpr std::int64_t kTimers = 10'000;
void AfterDropped() {
  for (std::int64_t i = 0; i < kTimers; ++i) {
    benchmark::DoNotOptimize(urge::after(std::chrono::hours(1)));
  }
}
void SleepMany() {
  urge::wait_group wg;
  const auto until = Clock::now() + std::chrono::microseconds(1);
  for (std::int64_t i = 0; i < kTimers; ++i) {
    wg.go([until, i] { urge::sleep_until(until + std::chrono::nanoseconds(i)); });
  }
  wg.wait();
}
void SleepOne() {
  for (int i = 0; i < 10; ++i) urge::sleep_for(std::chrono::microseconds(50));
}

void Register(const std::string& name, std::int64_t operations, const Batch& batch) {
  for (const int procs : {1, 2}) {
    benchmark::RegisterBenchmark(
        (name + "/" + std::to_string(procs) + "proc").c_str(),
        [=](benchmark::State& state) { Measure(state, procs, operations, batch); })
        ->UseManualTime()
        ->Iterations(20)
        ->Unit(benchmark::kNanosecond);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Register("yield", kYields, Yield);
  Register("spawn_join", kSpawns, SpawnJoin);
  Register("async_get", kAsyncs, AsyncGet);
  Register("chan_round_trip", kRoundTrips, RoundTrip<int>);
  Register("chan_round_trip_boxed", kRoundTrips, RoundTrip<std::string>);
  Register("chan_buffered", kElements, Spsc<int>);
  Register("chan_buffered_boxed", kElements, Spsc<std::string>);
  Register("mutex_uncontended", kLocks, [] { Mutex(1); });
  Register("mutex_contended_4", kLocks, [] { Mutex(4); });
  Register("after_dropped", kTimers, AfterDropped);
  Register("sleep_10000", kTimers, SleepMany);
  Register("sleep_50us", 10, SleepOne);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}

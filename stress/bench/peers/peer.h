// What the C++ peers share: rounds, medians, quantiles, printing. Independent of urge.

#ifndef URGE_STRESS_BENCH_PEERS_PEER_H_
#define URGE_STRESS_BENCH_PEERS_PEER_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace peer {

using Clock = std::chrono::steady_clock;

inline constexpr int kOperations = 1'000'000;
inline constexpr int kBatch = 1'000;
inline constexpr int kHogs = 4;

inline void Figure(const std::string& name, double value, const char* unit) {
  std::printf("%s\t%.4g\t%s\n", name.c_str(), value, unit);
  std::fflush(stdout);
}

// Median of five rounds, for one operation.
template <class Work>
double NsPerOperation(int operations, Work work) {
  std::array<double, 5> times;
  for (double& time : times) {
    const auto begin = Clock::now();
    work();
    time = std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / operations;
  }
  std::sort(times.begin(), times.end());
  return times[2];
}

inline double MsBetween(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}

inline void Quantiles(const std::string& name, std::vector<double> values_ms) {
  if (values_ms.empty()) {
    std::printf("%s, p50\tnever\tms\n%s, p99\tnever\tms\n", name.c_str(), name.c_str());
    return;
  }
  std::sort(values_ms.begin(), values_ms.end());
  Figure(name + ", p50", values_ms[values_ms.size() / 2], "ms");
  Figure(name + ", p99", values_ms[values_ms.size() * 99 / 100], "ms");
}

// Runs a call-free loop until `stop()`, and returns the lengths of the slices it got.
template <class Stop>
std::vector<double> Hog(Stop stop) {
  std::vector<double> slices_ms;
  auto begin = Clock::now(), last = begin;
  std::uint64_t state = 1;
  while (!stop()) {
    for (int i = 0; i < 10'000; ++i) {
      state = state * 6364136223846793005 + 1442695040888963407;
      asm volatile("" : "+r"(state));
    }
    const auto now = Clock::now();
    if (now - last > std::chrono::milliseconds(1)) {
      slices_ms.push_back(MsBetween(begin, last));
      begin = now;
    }
    last = now;
  }
  return slices_ms;
}

}  // namespace peer

#endif  // URGE_STRESS_BENCH_PEERS_PEER_H_

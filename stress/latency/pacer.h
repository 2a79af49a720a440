// Pacer: what asks goroutines to stop, beside the ends of slices.
//
// A goroutine has to run at certain instants while hogs keep every processor busy, so each time
// some hog has to make room. It notes by its own clock how late it ran.
//
//   kSleep          it sleeps in a loop: a timer wakes it
//   kEvery, kRandom a plain thread sends to it over a channel: another thread wakes it. A wake-up
//                   that finds the one before still pending is counted as missed, and not made up.

#ifndef URGE_STRESS_LATENCY_PACER_H_
#define URGE_STRESS_LATENCY_PACER_H_

#include <urge/urge.h>

#include <atomic>
#include <cstdint>
#include <thread>

#include "stress/common/distribution.h"
#include "stress/latency/options.h"

namespace latency {

class Pacer {
 public:
  // Begins at once. `all` counts the goroutine.
  Pacer(const Pace& pace, std::uint64_t seed, urge::wait_group& all);
  ~Pacer() { Stop(); }
  Pacer(const Pacer&) = delete;
  Pacer& operator=(const Pacer&) = delete;

  // The thread ends at once, the goroutine soon.
  void Stop();

  // So far, at any time.
  stress::Distribution Response() const { return response_.Get(); }
  std::uint64_t missed() const { return missed_.load(std::memory_order_relaxed); }

 private:
  void Sleep();
  void Send();
  void Receive();
  void Note(std::uint64_t due_ticks);

  const Pace pace_;
  const std::uint64_t seed_;
  std::atomic<bool> stop_{false};
  stress::DistributionRecorder response_;
  std::atomic<std::uint64_t> missed_{0};
  urge::chan<std::uint64_t> due_{1};  // when a wake-up was due, in ticks
  std::thread thread_;
};

}  // namespace latency

#endif  // URGE_STRESS_LATENCY_PACER_H_

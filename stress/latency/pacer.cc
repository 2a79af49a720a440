// Sleeping, sending and receiving.

#include "stress/latency/pacer.h"

#include <random>

#include "stress/common/clock.h"

namespace latency {

using stress::NsOfTicks;
using stress::ReadTicks;
using stress::TicksOfNs;
using Clock = std::chrono::steady_clock;

Pacer::Pacer(const Pace& pace, std::uint64_t seed, urge::wait_group& all)
    : pace_(pace), seed_(seed) {
  if (pace_.kind == Pace::kSlice) return;
  if (pace_.kind == Pace::kSleep) {
    all.go([this] { Sleep(); });
    return;
  }
  all.go([this] { Receive(); });
  thread_ = std::thread([this] { Send(); });
}

void Pacer::Stop() {
  stop_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
}

void Pacer::Note(std::uint64_t due_ticks) {
  const std::uint64_t now = ReadTicks();
  const double late_ns = now > due_ticks ? NsOfTicks(now - due_ticks) : 0;
  response_.Add(static_cast<std::uint64_t>(late_ns));
}

void Pacer::Sleep() {
  const std::uint64_t period_ticks = TicksOfNs(static_cast<double>(pace_.period.count()));
  while (!stop_.load(std::memory_order_relaxed)) {
    const std::uint64_t due = ReadTicks() + period_ticks;
    urge::sleep_for(pace_.period);
    Note(due);
  }
}

void Pacer::Receive() {
  while (const std::optional<std::uint64_t> due = due_.recv()) Note(*due);
}

void Pacer::Send() {
  std::mt19937_64 random(seed_);
  std::exponential_distribution<double> exponential(1.0 /
                                                    static_cast<double>(pace_.period.count()));
  const auto interval = [&] {
    return pace_.kind == Pace::kEvery
               ? pace_.period
               : std::chrono::nanoseconds(static_cast<std::int64_t>(exponential(random)));
  };
  // Long sleeps are cut, so that Stop doesn't wait for their end.
  constexpr auto kLongest = std::chrono::milliseconds(20);
  for (auto due = Clock::now() + interval(); !stop_.load(std::memory_order_relaxed);) {
    if (due - Clock::now() > kLongest) {
      std::this_thread::sleep_for(kLongest);
      continue;
    }
    std::this_thread::sleep_until(due);
    if (!due_.try_send(ReadTicks())) missed_.fetch_add(1, std::memory_order_relaxed);
    // Who came late himself doesn't send a burst.
    due = std::max(due, Clock::now() - pace_.period) + interval();
  }
  due_.close();
}

}  // namespace latency

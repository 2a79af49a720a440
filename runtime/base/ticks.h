// The processor's time stamp counter, for stamps where reading CLOCK_MONOTONIC would be what is
// measured: on a cold path the vDSO costs 100-800 ns (its data page is written at every kernel
// tick), this instruction 15 ns.
//
// Right where the counter runs at one rate and in step on all cores ("invariant TSC": every x86-64
// processor since about 2008). Only reported latencies depend on it, and how long a mark is given
// before the signal; all other decisions about time use NowNs().

#ifndef URGE_RUNTIME_BASE_TICKS_H_
#define URGE_RUNTIME_BASE_TICKS_H_

#include <x86intrin.h>

#include <cstdint>

namespace urge::base {

// Ticks since the machine started, not read before earlier loads have their values.
// Signal-safe: yes.
inline std::uint64_t Ticks() {
  _mm_lfence();
  return __rdtsc();
}

// Turns spans of Ticks() into ns, and back. The rate is measured between InitTicks() and now, anew
// each time the span in between has doubled: within 1 % from 10 us on, soon within 1e-6.
// Signal-safe: yes.
class TickRate {
 public:
  TickRate();
  std::uint64_t Ns(std::uint64_t ticks) const {
    return static_cast<std::uint64_t>(static_cast<double>(ticks) * ns_per_tick_);
  }
  std::uint64_t Ticks(std::uint64_t ns) const {
    return static_cast<std::uint64_t>(static_cast<double>(ns) / ns_per_tick_);
  }

 private:
  double ns_per_tick_;
};
inline std::uint64_t NsOfTicks(std::uint64_t ticks) { return TickRate().Ns(ticks); }
inline std::uint64_t TicksOfNs(std::uint64_t ns) { return TickRate().Ticks(ns); }

// Begins the measurement. Called before these.
void InitTicks();

}  // namespace urge::base

#endif  // URGE_RUNTIME_BASE_TICKS_H_

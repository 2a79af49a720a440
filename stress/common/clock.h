// The clock of the stress programs: the processor's time stamp counter.
//
// Measuring must not depend on what is measured, so the programs read neither the runtime's clock
// nor the kernel's: rdtsc is one instruction of about 10 ns, inline, without a call, a lock or a
// thread-local. It is good where the counter runs at one rate and in step on all cores ("invariant
// TSC": every x86-64 processor since about 2008).

#ifndef URGE_STRESS_COMMON_CLOCK_H_
#define URGE_STRESS_COMMON_CLOCK_H_

#include <x86intrin.h>

#include <cstdint>

namespace stress {

inline std::uint64_t ReadTicks() { return __rdtsc(); }

// Whether the processor promises an invariant counter.
bool TicksAreInvariant();

// Ticks per nanosecond, measured against CLOCK_MONOTONIC when first asked for (20 ms).
double TicksPerNs();

inline double NsOfTicks(std::uint64_t ticks) { return static_cast<double>(ticks) / TicksPerNs(); }
inline std::uint64_t TicksOfNs(double ns) { return static_cast<std::uint64_t>(ns * TicksPerNs()); }

}  // namespace stress

#endif  // URGE_STRESS_COMMON_CLOCK_H_

#include "runtime/base/ticks.h"

#include <atomic>

#include "runtime/base/os.h"

namespace urge::base {
namespace {

struct Instant {
  std::uint64_t ticks = 0;
  std::uint64_t ns = 0;
};

// Both clocks at one instant: of a few tries, the one with the least time in between.
Instant ReadBoth() {
  Instant best;
  std::uint64_t best_width = ~std::uint64_t{0};
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t before = Ticks();
    const std::uint64_t ns = NowNs();
    const std::uint64_t width = Ticks() - before;
    if (width < best_width) {
      best_width = width;
      best = {before + width / 2, ns};
    }
  }
  return best;
}

constinit Instant g_start;
// Two that measure at once both store a good rate; relaxed, for either value of either will do.
constinit std::atomic<double> g_ns_per_tick{1.0};
constinit std::atomic<std::uint64_t> g_measure_again_at{0};

double NsPerTick() {
  if (Ticks() >= g_measure_again_at.load(std::memory_order_relaxed)) {
    const Instant now = ReadBoth();
    if (now.ns > g_start.ns && now.ticks > g_start.ticks) {
      const std::uint64_t span = now.ticks - g_start.ticks;
      g_ns_per_tick.store(static_cast<double>(now.ns - g_start.ns) / static_cast<double>(span),
                          std::memory_order_relaxed);
      g_measure_again_at.store(now.ticks + span, std::memory_order_relaxed);
    }
  }
  return g_ns_per_tick.load(std::memory_order_relaxed);
}

}  // namespace

void InitTicks() {
  if (g_start.ticks == 0) g_start = ReadBoth();
}

TickRate::TickRate() : ns_per_tick_(NsPerTick()) {}

}  // namespace urge::base

// The registry of hog kinds, and calibration.

#include "stress/common/hog.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace stress {
namespace {

constexpr HogKindInfo kKinds[] = {
    {"loop", "an integer loop without a single call", MakeLoopHog},
    {"recursion", "call-heavy recursion, compiled with -fsplit-stack", MakeRecursionHog, true},
    {"libm", "sin, exp, pow and long double functions of libm", MakeLibmHog},
    {"avx", "AVX-512 or AVX2 registers and masks, whichever the processor has", MakeAvxHog},
    {"map", "insertions and erasures in a std::map of strings: malloc", MakeMapHog},
    {"zlib", "the system's shared zlib compresses and decompresses a file", MakeZlibHog},
    {"sha256", "SHA-256 of the file", MakeSha256Hog},
    {"regex", "std::regex searches the file", MakeRegexHog},
};

}  // namespace

std::span<const HogKindInfo> HogKinds() { return kKinds; }

const HogKindInfo* FindHogKind(std::string_view name) {
  const auto* found = std::ranges::find(kKinds, name, &HogKindInfo::name);
  return found == std::end(kKinds) ? nullptr : found;
}

bool HogRun::Verify(bool right, std::string_view what) {
  if (right) {
    ++verified_;
  } else {
    failure_ = what;
  }
  return right;
}

std::uint64_t CalibratePause(const HogKind& kind) {
  using namespace std::chrono_literals;
  constexpr double kLeastPauseNs = 20'000, kMostPauseNs = 500'000;
  std::atomic<bool> stop{false};
  std::thread stopper([&] {
    std::this_thread::sleep_for(40ms);
    stop.store(true, std::memory_order_relaxed);
  });
  // With a threshold of zero every gap counts as a pause and is kept.
  HogRun run(stop, {0, ~std::uint64_t{0}});
  run.meter().Ready();
  run.meter().Start();
  kind.Work(run);
  stopper.join();
  if (!run.failure().empty()) throw std::runtime_error(run.failure());
  const Summary gaps = run.meter().pauses().Summarize(1.0);
  return std::clamp(static_cast<std::uint64_t>(2 * gaps.p99), TicksOfNs(kLeastPauseNs),
                    TicksOfNs(kMostPauseNs));
}

}  // namespace stress

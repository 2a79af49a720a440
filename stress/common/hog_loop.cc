// The call-free integer loop: nothing but a signal can stop it.
//
// It steps a linear congruential generator. The state after n steps has a closed form, found by
// repeated squaring of the step, so the end of the loop is verified without running it again.

#include "stress/common/hog.h"

namespace stress {
namespace {

constexpr std::uint64_t kMultiplier = 6364136223846793005, kIncrement = 1442695040888963407;
constexpr std::uint64_t kStepsPerTouch = 10'000;  // 4 cycles each
constexpr std::uint64_t kTouchesPerResult = 1'000;

// x -> multiplier * x + increment
struct Step {
  std::uint64_t multiplier, increment;
};
constexpr Step Twice(Step s) {
  return {s.multiplier * s.multiplier, s.multiplier * s.increment + s.increment};
}

constexpr std::uint64_t StateAfter(std::uint64_t state, std::uint64_t steps) {
  for (Step s{kMultiplier, kIncrement}; steps != 0; steps >>= 1, s = Twice(s)) {
    if (steps & 1) state = s.multiplier * state + s.increment;
  }
  return state;
}
static_assert(StateAfter(7, 2) == kMultiplier * (kMultiplier * 7 + kIncrement) + kIncrement);

class LoopHog : public HogKind {
 public:
  void Work(HogRun& run) const override {
    std::uint64_t state = 1;
    for (;;) {
      const std::uint64_t expected = StateAfter(state, kStepsPerTouch * kTouchesPerResult);
      for (std::uint64_t touch = 0; touch < kTouchesPerResult; ++touch) {
        for (std::uint64_t i = 0; i < kStepsPerTouch; ++i) {
          state = state * kMultiplier + kIncrement;
          asm volatile("" : "+r"(state));  // or the compiler might find the closed form, too
        }
        if (!run.Continue()) return;
      }
      if (!run.Verify(state == expected, "loop: wrong state after the loop")) return;
    }
  }
};

}  // namespace

std::unique_ptr<HogKind> MakeLoopHog(std::string_view) { return std::make_unique<LoopHog>(); }

}  // namespace stress

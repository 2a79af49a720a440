// libm: SSE and AVX code of the C library, and x87 code through long double.
//
// The sums must be the same to the last bit every time: floating-point registers, control words and
// the x87 stack survive preemption, or this kind fails.

#include <cmath>

#include "stress/common/hog.h"

namespace stress {
namespace {

constexpr int kTouchesPerResult = 200;
constexpr int kPointsPerTouch = 100;

struct Sums {
  double plain = 0;
  long double extended = 0;
  bool operator==(const Sums&) const = default;
};

[[gnu::noinline]] void AddPoints(int touch, Sums& sums) {
  for (int i = 0; i < kPointsPerTouch; ++i) {
    const double x = 0.01 * (touch * kPointsPerTouch + i + 1);
    sums.plain += std::sin(x) * std::exp(-0.01 * x) + std::log1p(x) * std::atan2(x, 3.0) +
                  std::pow(x, 0.37) + std::tgamma(1 + x / 1000);
    sums.extended += std::exp(-static_cast<long double>(x) / 100) + std::sqrt(sums.extended + x);
  }
}

class LibmHog : public HogKind {
 public:
  LibmHog() {
    for (int touch = 0; touch < kTouchesPerResult; ++touch) AddPoints(touch, expected_);
  }
  void Work(HogRun& run) const override {
    for (;;) {
      Sums sums;
      for (int touch = 0; touch < kTouchesPerResult; ++touch) {
        AddPoints(touch, sums);
        if (!run.Continue()) return;
      }
      if (!run.Verify(sums == expected_, "libm: sums differ")) return;
    }
  }

 private:
  Sums expected_;
};

}  // namespace

std::unique_ptr<HogKind> MakeLibmHog(std::string_view) { return std::make_unique<LibmHog>(); }

}  // namespace stress

// Recursion whose every prologue can answer a preemption request.

#include "stress/common/hog.h"
#include "stress/common/recursion_split.h"

namespace stress {
namespace {

class RecursionHog : public HogKind {
 public:
  void Work(HogRun& run) const override {
    while (run.Continue()) {
      if (!run.Verify(CountQueens(7) == 40, "recursion: wrong number of solutions")) return;
      if (!run.Continue()) return;
      if (!run.Verify(Fibonacci(18) == 2584, "recursion: wrong Fibonacci number")) return;
    }
  }
};

}  // namespace

std::unique_ptr<HogKind> MakeRecursionHog(std::string_view) {
  return std::make_unique<RecursionHog>();
}

}  // namespace stress

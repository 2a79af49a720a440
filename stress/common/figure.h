// Figures: what benchmarks print, one a line, for people and for scripts: name, value, unit, with
// tabs in between. And the loop that runs each case of a benchmark in a process of its own.

#ifndef URGE_STRESS_COMMON_FIGURE_H_
#define URGE_STRESS_COMMON_FIGURE_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace stress {

class Figures {
 public:
  // A value that was never reached (a tick that never came) is infinite.
  void Add(std::string_view name, double value, std::string_view unit);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct BenchCase {
  std::string_view name;
  std::string_view summary;
  void (*run)(Figures& figures);
};

// main() of a benchmark: runs the cases named on the command line, or all, each in a child process,
// since a runtime starts once in a process. Returns the exit status.
int RunCases(int argc, char** argv, std::string_view about, std::span<const BenchCase> cases);

// Median of five rounds of `round`, which returns a time.
double MedianOfRounds(const std::function<double()>& round);

}  // namespace stress

#endif  // URGE_STRESS_COMMON_FIGURE_H_

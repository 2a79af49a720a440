// The progress line: one line rewritten on a terminal, else a line every few seconds.

#ifndef URGE_STRESS_FAIRNESS_PROGRESS_H_
#define URGE_STRESS_FAIRNESS_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace fairness {

class Progress {
 public:
  struct Figures {
    std::vector<double> hog_cpu;  // in any unit
    std::uint64_t ticks = 0;
    std::uint64_t round_trips = 0;
  };

  Progress(std::string title, std::chrono::nanoseconds duration);
  // Removes the line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // How often Show wants to be called.
  std::chrono::nanoseconds Interval() const;
  void Show(std::chrono::nanoseconds elapsed, const Figures& figures);

 private:
  const std::string title_;
  const std::chrono::nanoseconds duration_;
  const bool terminal_;
};

}  // namespace fairness

#endif  // URGE_STRESS_FAIRNESS_PROGRESS_H_

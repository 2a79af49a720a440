// The progress line: one line rewritten on a terminal, else a line every few seconds.

#ifndef URGE_STRESS_COMMON_PROGRESS_H_
#define URGE_STRESS_COMMON_PROGRESS_H_

#include <chrono>
#include <string>
#include <string_view>

namespace stress {

class Progress {
 public:
  Progress(std::string title, std::chrono::nanoseconds duration);
  // Removes the line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // How often Show wants to be called.
  std::chrono::nanoseconds Interval() const;
  // Whether so much time has passed since the last Show.
  bool Due(std::chrono::nanoseconds elapsed) const { return elapsed - shown_ >= Interval(); }
  void Show(std::chrono::nanoseconds elapsed, std::string_view figures);

 private:
  const std::string title_;
  const std::chrono::nanoseconds duration_;
  const bool terminal_;
  std::chrono::nanoseconds shown_{0};
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_PROGRESS_H_

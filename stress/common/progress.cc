// The progress line.

#include "stress/common/progress.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr char kClearLine[] = "\r\033[K";

}  // namespace

Progress::Progress(std::string title, std::chrono::nanoseconds duration)
    : title_(std::move(title)), duration_(duration), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (terminal_) std::cerr << kClearLine << std::flush;
}

std::chrono::nanoseconds Progress::Interval() const { return terminal_ ? 250ms : 3s; }

void Progress::Show(std::chrono::nanoseconds elapsed, std::string_view figures) {
  shown_ = elapsed;
  char seconds[64];
  std::snprintf(seconds, sizeof seconds, ": %.1f of %.1f s, ",
                std::chrono::duration<double>(elapsed).count(),
                std::chrono::duration<double>(duration_).count());
  const std::string line = title_ + seconds + std::string(figures);
  if (terminal_) {
    std::cerr << kClearLine << line << std::flush;
  } else {
    std::cerr << line << '\n';
  }
}

}  // namespace stress

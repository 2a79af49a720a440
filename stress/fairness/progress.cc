// The progress line.

#include "stress/fairness/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <numeric>

#include "stress/common/text.h"

namespace fairness {
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

void Progress::Show(std::chrono::nanoseconds elapsed, const Figures& figures) {
  const double total = std::accumulate(figures.hog_cpu.begin(), figures.hog_cpu.end(), 0.0);
  const double least = *std::ranges::min_element(figures.hog_cpu);
  char seconds[64];
  std::snprintf(seconds, sizeof seconds, "%.1f of %.1f s",
                std::chrono::duration<double>(elapsed).count(),
                std::chrono::duration<double>(duration_).count());
  const std::string line =
      title_ + ": " + seconds + ", least served hog " +
      stress::FormatPercent(total == 0 ? 0 : least / total) +
      " (fair: " + stress::FormatPercent(1.0 / static_cast<double>(figures.hog_cpu.size())) +
      "), " + stress::FormatCount(figures.ticks) + " ticks, " +
      stress::FormatCount(figures.round_trips) + " round trips";
  if (terminal_) {
    std::cerr << kClearLine << line << std::flush;
  } else {
    std::cerr << line << '\n';
  }
}

}  // namespace fairness

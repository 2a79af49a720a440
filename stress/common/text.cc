// Formatting for people.

#include "stress/common/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace stress {
namespace {

bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view locale = value;
    return locale.find("UTF-8") != locale.npos || locale.find("utf8") != locale.npos;
  }
  return false;
}

// Characters of UTF-8 text: all bytes but continuation bytes.
std::size_t WidthOf(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string Print(const char* format, double value, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, format, value, unit);
  return text;
}

}  // namespace

std::string FormatTime(double ns) {
  constexpr struct {
    const char* name;
    double ns;
  } kUnits[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
  const auto* unit = kUnits;
  // 999.5 would be printed as 1000.
  while (unit + 1 != std::end(kUnits) && ns / unit->ns >= 999.5) ++unit;
  const double value = ns / unit->ns;
  const char* format = unit == kUnits || value >= 99.95 ? "%.0f %s"
                       : value >= 9.995                 ? "%.1f %s"
                                                        : "%.2f %s";
  return Print(format, value, unit->name);
}

std::string FormatCount(std::uint64_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ' ');
  return digits;
}

std::string FormatPercent(double fraction) { return Print("%.1f %s", fraction * 100, "%"); }

std::string FormatBar(double fraction, int cells) {
  static const bool utf8 = LocaleIsUtf8();
  constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int steps = utf8 ? 8 : 1;  // of a cell
  const double wanted = std::clamp(fraction, 0.0, 1.0) * cells * steps;
  const int length = std::max(static_cast<int>(std::lround(wanted)), wanted > 0 ? 1 : 0);
  std::string bar;
  for (int i = 0; i < length / steps; ++i) bar += utf8 ? "█" : "#";
  bar += kEighths[length % steps];
  const int used = (length + steps - 1) / steps;
  return bar + std::string(static_cast<std::size_t>(cells - used), ' ');
}

int TerminalColumns() {
  constexpr int kLeast = 40, kMost = 400;
  winsize size{};
  int columns = 0;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  const char* variable = std::getenv("COLUMNS");
  if (columns == 0 && variable != nullptr) columns = std::atoi(variable);
  return columns <= 0 ? 0 : std::clamp(columns, kLeast, kMost);
}

void Table::Print(std::ostream& out) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    if (row.size() > widths.size()) widths.resize(row.size());
    // A row of one cell is a heading across all columns.
    if (row.size() == 1) continue;
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::size_t width = WidthOf(row[i]);
      const std::string padding(widths[i] > width ? widths[i] - width : 0, ' ');
      const bool right = i < alignment_.size() && alignment_[i] == 'r';
      if (i != 0) line += "  ";
      line += right ? padding + row[i] : row[i] + padding;
    }
    out << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
  }
}

}  // namespace stress

// Tables, times and numbers for people.

#ifndef URGE_STRESS_COMMON_TEXT_H_
#define URGE_STRESS_COMMON_TEXT_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace stress {

// Three digits and a unit: "312 ns", "10.0 ms", "4.20 s".
std::string FormatTime(double ns);
// "1 234 567"
std::string FormatCount(std::uint64_t n);
// "12.5 %"
std::string FormatPercent(double fraction);
// A bar of `fraction` of `cells` cells, in block characters (eighths of cells) where the locale is
// UTF-8, padded with spaces to its full width. It is empty only if `fraction` is zero.
std::string FormatBar(double fraction, int cells);

// Of the terminal that standard output is, else $COLUMNS; 0 if there is neither.
int TerminalColumns();

// Columns as wide as their widest cell, two spaces apart.
class Table {
 public:
  // One letter per column: l or r. Missing ones are l.
  explicit Table(std::string alignment) : alignment_(std::move(alignment)) {}
  void Row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void Print(std::ostream& out) const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_TEXT_H_

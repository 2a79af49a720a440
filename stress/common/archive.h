// How results travel from a child process to its parent: text, one value a line, in the order of
// the fields. One function per type visits its fields, and serves both directions:
//
//   void Visit(auto& archive, Point& p) { archive.Values(p.x, p.y); }

#ifndef URGE_STRESS_COMMON_ARCHIVE_H_
#define URGE_STRESS_COMMON_ARCHIVE_H_

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace stress {

class ArchiveWriter {
 public:
  void Values(auto&... values) { (Value(values), ...); }
  template <class T>
  void List(std::vector<T>& items, auto each) {
    out_ << items.size() << '\n';
    for (T& item : items) each(item);
  }
  std::string Text() const { return out_.str(); }

 private:
  void Value(std::string& text) {
    std::ranges::replace(text, '\n', ' ');
    out_ << text << '\n';
  }
  void Value(double& number) {
    out_.precision(std::numeric_limits<double>::max_digits10);
    out_ << number << '\n';
  }
  void Value(std::integral auto& number) { out_ << +number << '\n'; }

  std::ostringstream out_;
};

class ArchiveReader {
 public:
  explicit ArchiveReader(const std::string& text) : in_(text) {}

  void Values(auto&... values) { (Value(values), ...); }
  template <class T>
  void List(std::vector<T>& items, auto each) {
    constexpr std::size_t kMost = 100'000;
    std::size_t count = 0;
    Value(count);
    good_ = good_ && count <= kMost;
    if (!good_) return;
    items.resize(count);
    for (T& item : items) each(item);
  }
  // False if the text was no complete result.
  bool good() const { return good_; }

 private:
  void Value(std::string& text) {
    if (!std::getline(in_, text)) good_ = false;
  }
  void Value(bool& b) {
    int number = 0;
    Value(number);
    b = number != 0;
  }
  template <class T>
  requires std::integral<T> || std::floating_point<T>
  void Value(T& number) {
    std::string line;
    Value(line);
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), number);
    if (error != std::errc() || rest != line.data() + line.size()) good_ = false;
  }

  std::istringstream in_;
  bool good_ = true;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_ARCHIVE_H_

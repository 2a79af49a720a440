// A streaming JSON writer: keys and values in, indented text out.

#ifndef URGE_STRESS_COMMON_JSON_H_
#define URGE_STRESS_COMMON_JSON_H_

#include <cmath>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>

namespace stress {

class JsonWriter {
 public:
  explicit JsonWriter(std::ostream& out) : out_(out) {}

  // In an object each value needs a key, in an array none.
  JsonWriter& Key(std::string_view key) {
    Separate();
    Quote(key);
    out_ << ": ";
    after_key_ = true;
    return *this;
  }
  void BeginObject() { Begin('{'); }
  void EndObject() { End('}'); }
  void BeginArray() { Begin('['); }
  void EndArray() { End(']'); }

  void Value(std::string_view text) {
    Separate();
    Quote(text);
  }
  void Value(const char* text) { Value(std::string_view(text)); }
  void Value(bool b) {
    Separate();
    out_ << (b ? "true" : "false");
  }
  void Value(std::integral auto number) {
    Separate();
    out_ << +number;
  }
  // JSON has no infinities; they become null.
  void Value(double number) {
    Separate();
    if (std::isfinite(number)) {
      const auto precision = out_.precision(10);
      out_ << number;
      out_.precision(precision);
    } else {
      out_ << "null";
    }
  }
  // A short array on one line.
  void Numbers(std::initializer_list<std::uint64_t> numbers) {
    Separate();
    const char* separator = "[";
    for (const std::uint64_t number : numbers) {
      out_ << separator << number;
      separator = ", ";
    }
    out_ << ']';
  }
  void Member(std::string_view key, const auto& value) {
    Key(key);
    Value(value);
  }

 private:
  void Begin(char bracket) {
    Separate();
    out_ << bracket;
    ++depth_;
    first_ = true;
  }
  void End(char bracket) {
    --depth_;
    if (!first_) NewLine();
    out_ << bracket;
    first_ = false;
    if (depth_ == 0) out_ << '\n';
  }
  void Separate() {
    if (after_key_) {
      after_key_ = false;
      return;
    }
    if (depth_ == 0) return;
    if (!first_) out_ << ',';
    first_ = false;
    NewLine();
  }
  void NewLine() { out_ << '\n' << std::string(static_cast<std::size_t>(2 * depth_), ' '); }
  void Quote(std::string_view text) {
    out_ << '"';
    for (const char c : text) {
      constexpr char kHex[] = "0123456789abcdef";
      if (c == '"' || c == '\\') {
        out_ << '\\' << c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        out_ << "\\u00" << kHex[c >> 4] << kHex[c & 15];
      } else {
        out_ << c;
      }
    }
    out_ << '"';
  }

  std::ostream& out_;
  int depth_ = 0;
  bool first_ = true;
  bool after_key_ = false;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_JSON_H_

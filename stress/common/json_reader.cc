// Recursive descent over the grammar of RFC 8259.

#include "stress/common/json_reader.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace stress {

class JsonParser {
 public:
  explicit JsonParser(std::string_view text) : text_(text) {}

  Json Document() {
    Json value = Value();
    Space();
    if (!text_.empty()) Fail("text after the value");
    return value;
  }

 private:
  [[noreturn]] void Fail(const std::string& what) {
    throw std::runtime_error("JSON: " + what + " before '" + std::string(text_.substr(0, 40)) +
                             "'");
  }
  void Space() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\r\n"), text_.size())); }
  bool Take(std::string_view token) {
    Space();
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  void Expect(std::string_view token) {
    if (!Take(token)) Fail("no " + std::string(token));
  }

  Json Value() {
    constexpr int kDeepest = 200;
    if (++depth_ > kDeepest) Fail("nested too deep");
    Json value;
    if (Take("null")) {
      value.value_ = nullptr;
    } else if (Take("true")) {
      value.value_ = true;
    } else if (Take("false")) {
      value.value_ = false;
    } else if (Take("{")) {
      value.value_ = Members();
    } else if (Take("[")) {
      value.value_ = Elements();
    } else if (text_.starts_with('"')) {
      value.value_ = String();
    } else {
      value.value_ = Number();
    }
    --depth_;
    return value;
  }
  Json::Object Members() {
    Json::Object members;
    if (Take("}")) return members;
    do {
      Space();
      std::string key = String();
      Expect(":");
      if (!members.emplace(std::move(key), Value()).second) Fail("a key twice");
    } while (Take(","));
    Expect("}");
    return members;
  }
  Json::Array Elements() {
    Json::Array elements;
    if (Take("]")) return elements;
    do {
      elements.push_back(Value());
    } while (Take(","));
    Expect("]");
    return elements;
  }
  std::string String() {
    Expect("\"");
    std::string string;
    for (;;) {
      if (text_.empty() || static_cast<unsigned char>(text_[0]) < 0x20) Fail("unended string");
      const char c = text_[0];
      text_.remove_prefix(1);
      if (c == '"') return string;
      if (c != '\\') {
        string += c;
        continue;
      }
      const char escaped = text_.empty() ? '\0' : text_[0];
      constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
      if (escaped == 'u') {
        text_.remove_prefix(1);
        AppendUtf8(string, CodeUnit());
      } else if (const auto at = kEscapes.find(escaped); at != kEscapes.npos) {
        text_.remove_prefix(1);
        string += kMeanings[at];
      } else {
        Fail("unknown escape");
      }
    }
  }
  // The four hexadecimal digits of \u. Halves of surrogate pairs stay what they are.
  unsigned CodeUnit() {
    unsigned unit = 0;
    const char* const begin = text_.data();
    const char* const end = begin + std::min<std::size_t>(4, text_.size());
    const auto [rest, error] = std::from_chars(begin, end, unit, 16);
    if (error != std::errc() || rest != begin + 4) Fail("no four digits of \\u");
    text_.remove_prefix(4);
    return unit;
  }
  static void AppendUtf8(std::string& text, unsigned unit) {
    const auto continuation = [&](int shift) {
      text += static_cast<char>(0x80 | ((unit >> shift) & 0x3f));
    };
    if (unit < 0x80) {
      text += static_cast<char>(unit);
    } else if (unit < 0x800) {
      text += static_cast<char>(0xc0 | (unit >> 6));
      continuation(0);
    } else {
      text += static_cast<char>(0xe0 | (unit >> 12));
      continuation(6);
      continuation(0);
    }
  }
  double Number() {
    // from_chars knows "inf" and "nan", too.
    if (text_.find_first_of("-0123456789") != 0) Fail("no value");
    double number = 0;
    const auto [rest, error] = std::from_chars(text_.data(), text_.data() + text_.size(), number);
    if (error != std::errc()) Fail("no value");
    text_.remove_prefix(static_cast<std::size_t>(rest - text_.data()));
    return number;
  }

  std::string_view text_;
  int depth_ = 0;
};

Json Json::Parse(std::string_view text) { return JsonParser(text).Document(); }

}  // namespace stress

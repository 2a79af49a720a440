// Recursive descent over the grammar of RFC 8259.

#include "tests/support/json_reader.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace urge_test {

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
    Json value;
    if (Take("null")) return value;
    if (Take("true")) {
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
      if (escaped == 'u') {
        text_.remove_prefix(std::min<std::size_t>(5, text_.size()));
        string += '?';
      } else if (std::string_view("\"\\/bfnrt").find(escaped) != std::string_view::npos) {
        text_.remove_prefix(1);
        string += escaped;
      } else {
        Fail("unknown escape");
      }
    }
  }
  double Number() {
    double number = 0;
    const auto [rest, error] = std::from_chars(text_.data(), text_.data() + text_.size(), number);
    if (error != std::errc()) Fail("no value");
    text_.remove_prefix(static_cast<std::size_t>(rest - text_.data()));
    return number;
  }

  std::string_view text_;
};

Json Json::Parse(std::string_view text) { return JsonParser(text).Document(); }

}  // namespace urge_test

// JSON, written into a string: objects and arrays that know where a comma goes.

#ifndef URGE_RUNTIME_OBSERVE_JSON_H_
#define URGE_RUNTIME_OBSERVE_JSON_H_

#include <concepts>
#include <string>
#include <string_view>

namespace urge::observe {

// `text` between quotes. What isn't UTF-8 is replaced by U+FFFD: a goroutine's name is cut after 31
// bytes, and may be torn.
std::string JsonString(std::string_view text);
// `value` within [0, 1], to four places.
std::string JsonShare(double value);

class JsonObject {
 public:
  // `json` is JSON already.
  JsonObject& Raw(std::string_view key, std::string_view json);
  JsonObject& Add(std::string_view key, std::string_view text) {
    return Raw(key, JsonString(text));
  }
  JsonObject& Add(std::string_view key, const char* text) { return Raw(key, JsonString(text)); }
  JsonObject& Add(std::string_view key, bool value) { return Raw(key, value ? "true" : "false"); }
  template <std::integral T>
  JsonObject& Add(std::string_view key, T value) {
    return Raw(key, std::to_string(value));
  }
  std::string Done() const { return "{" + body_ + "}"; }

 private:
  std::string body_;
};

class JsonArray {
 public:
  JsonArray& Add(std::string_view json);
  std::string Done() const { return "[" + body_ + "]"; }

 private:
  std::string body_;
};

}  // namespace urge::observe

#endif  // URGE_RUNTIME_OBSERVE_JSON_H_

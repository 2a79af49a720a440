// A small JSON parser: strict, and thrown off by anything that isn't JSON.

#ifndef URGE_STRESS_COMMON_JSON_READER_H_
#define URGE_STRESS_COMMON_JSON_READER_H_

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace stress {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json>;

  // Errors: std::runtime_error if the text is not one JSON value.
  static Json Parse(std::string_view text);

  // Errors: std::out_of_range or std::bad_variant_access if there is no such thing.
  const Json& operator[](const std::string& key) const { return object().at(key); }
  const Json& operator[](std::size_t index) const { return array().at(index); }
  const Object& object() const { return std::get<Object>(value_); }
  const Array& array() const { return std::get<Array>(value_); }
  double number() const { return std::get<double>(value_); }
  bool boolean() const { return std::get<bool>(value_); }
  bool has(const std::string& key) const { return object().contains(key); }
  const std::string& string() const { return std::get<std::string>(value_); }

 private:
  friend class JsonParser;
  std::variant<std::nullptr_t, bool, double, std::string, Array, Object> value_;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_JSON_READER_H_

#include "runtime/observe/json.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace urge::observe {
namespace {

// Bytes of the UTF-8 sequence that `text` begins with; 0 if it begins with none. Requires: not
// empty. Source: the Unicode Standard, table 3-7, less its bounds on second bytes: surrogates pass.
std::size_t SequenceBytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t bytes = lead < 0x80                    ? 1
                            : lead >= 0xc2 && lead <= 0xdf ? 2
                            : lead >= 0xe0 && lead <= 0xef ? 3
                            : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                           : 0;
  if (bytes > text.size()) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return bytes;
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t bytes = SequenceBytes(text);
    const char c = text[0];
    if (bytes == 0) {
      out += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&out, "\\u", absl::Hex(static_cast<unsigned>(c), absl::kZeroPad4));
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return out + '"';
}

std::string JsonShare(double value) {
  const int parts = static_cast<int>(std::clamp(value, 0.0, 1.0) * 10'000 + 0.5);
  return absl::StrCat(parts / 10'000, ".", absl::Dec(parts % 10'000, absl::kZeroPad4));
}

JsonObject& JsonObject::Raw(std::string_view key, std::string_view json) {
  if (!body_.empty()) body_ += ", ";
  body_ += JsonString(key);
  body_ += ": ";
  body_ += json;
  return *this;
}

JsonArray& JsonArray::Add(std::string_view json) {
  if (!body_.empty()) body_ += ", ";
  body_ += json;
  return *this;
}

}  // namespace urge::observe

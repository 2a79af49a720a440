// Writing JSON to a descriptor. Signal-safe: yes; no allocation but pages, no locale.

#ifndef URGE_RUNTIME_RECORDER_JSON_OUT_H_
#define URGE_RUNTIME_RECORDER_JSON_OUT_H_

#include <concepts>
#include <cstdint>
#include <string_view>

#include "runtime/recorder/pages.h"

namespace urge::recorder {

class JsonOut {
 public:
  explicit JsonOut(int fd) : fd_(fd), buffer_(kBufferBytes) {}
  JsonOut(const JsonOut&) = delete;
  JsonOut& operator=(const JsonOut&) = delete;
  ~JsonOut() { Flush(); }

  // As it is: punctuation, keys, what is known to be harmless.
  JsonOut& operator<<(std::string_view text);
  template <std::unsigned_integral T>
  JsonOut& operator<<(T value) {
    return Unsigned(value);
  }
  // In quotes, and escaped. What isn't UTF-8 becomes U+FFFD.
  JsonOut& String(std::string_view text);
  // The same without the quotes, as part of a string.
  JsonOut& Escaped(std::string_view text);
  // Microseconds, with three decimals.
  JsonOut& Micros(std::uint64_t ns);

  // Returns 0, or the first error (errno) that writing met; nothing is written after it.
  int Flush();

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{1} << 18;
  JsonOut& Unsigned(std::uint64_t value);
  void Put(char c);

  const int fd_;
  int error_ = 0;
  Pages<char> buffer_;
  std::size_t used_ = 0;
};

}  // namespace urge::recorder

#endif  // URGE_RUNTIME_RECORDER_JSON_OUT_H_

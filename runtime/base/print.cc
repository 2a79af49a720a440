#include "runtime/base/print.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>

namespace urge::base {

void RawPrint(int fd, std::string_view text) {
  const int saved_errno = errno;
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  errno = saved_errno;
}

RawWriter& RawWriter::operator<<(std::string_view text) {
  while (!text.empty()) {
    if (used_ == size_) Flush();
    const std::size_t n = std::min(text.size(), size_ - used_);
    std::memcpy(buffer_ + used_, text.data(), n);
    used_ += n;
    text.remove_prefix(n);
  }
  return *this;
}

RawWriter& RawWriter::Unsigned(std::uint64_t value) {
  char digits[20];
  return *this << std::string_view(digits, std::to_chars(digits, std::end(digits), value).ptr);
}

RawWriter& RawWriter::operator<<(Hex hex) {
  char digits[18];
  std::size_t n = sizeof(digits);
  do {
    digits[--n] = "0123456789abcdef"[hex.value & 15];
    hex.value >>= 4;
  } while (hex.value != 0);
  digits[--n] = 'x';
  digits[--n] = '0';
  return *this << std::string_view(digits + n, sizeof(digits) - n);
}

void RawWriter::Flush() {
  RawPrint(fd_, std::string_view(buffer_, used_));
  used_ = 0;
}

}  // namespace urge::base

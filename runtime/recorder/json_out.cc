#include "runtime/recorder/json_out.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <iterator>

namespace urge::recorder {
namespace {

// How many bytes the well-formed UTF-8 sequence at the head of `text` has; 0 if there is none.
std::size_t SequenceLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead < 0xf0) {
    if (!continues(1) || !continues(2)) return 0;
    const bool overlong = lead == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = lead == 0xed && byte(1) >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead >= 0xf0 && lead < 0xf5) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    const bool overlong = lead == 0xf0 && byte(1) < 0x90;
    const bool beyond = lead == 0xf4 && byte(1) >= 0x90;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

}  // namespace

void JsonOut::Put(char c) {
  if (used_ == buffer_.size()) Flush();
  if (used_ < buffer_.size()) buffer_[used_++] = c;
}

JsonOut& JsonOut::operator<<(std::string_view text) {
  for (const char c : text) Put(c);
  return *this;
}

JsonOut& JsonOut::Unsigned(std::uint64_t value) {
  char digits[20];
  return *this << std::string_view(digits, std::to_chars(digits, std::end(digits), value).ptr);
}

JsonOut& JsonOut::Micros(std::uint64_t ns) {
  Unsigned(ns / 1000);
  const auto rest = static_cast<unsigned>(ns % 1000);
  const char decimals[] = {'.', static_cast<char>('0' + rest / 100),
                           static_cast<char>('0' + rest / 10 % 10),
                           static_cast<char>('0' + rest % 10)};
  return *this << std::string_view(decimals, sizeof(decimals));
}

JsonOut& JsonOut::String(std::string_view text) {
  Put('"');
  Escaped(text);
  Put('"');
  return *this;
}

JsonOut& JsonOut::Escaped(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = SequenceLength(text);
    const char c = text[0];
    if (length == 0) {
      *this << std::string_view("\\ufffd");
    } else if (c == '"' || c == '\\') {
      Put('\\');
      Put(c);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      const auto byte = static_cast<unsigned char>(c);
      *this << std::string_view("\\u00");
      Put("0123456789abcdef"[byte >> 4]);
      Put("0123456789abcdef"[byte & 15]);
    } else {
      *this << text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return *this;
}

int JsonOut::Flush() {
  if (buffer_.empty()) error_ = ENOMEM;
  std::size_t done = 0;
  while (done < used_ && error_ == 0) {
    const ssize_t n = write(fd_, buffer_.data() + done, used_ - done);
    if (n >= 0) {
      done += static_cast<std::size_t>(n);
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  used_ = 0;
  return error_;
}

}  // namespace urge::recorder

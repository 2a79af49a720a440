// Printing without stdio: for g0, signal handlers and dying processes.

#ifndef URGE_RUNTIME_BASE_PRINT_H_
#define URGE_RUNTIME_BASE_PRINT_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace urge::base {

// Writes all of `text` to `fd`, retrying short writes and EINTR; other errors are dropped.
// Keeps errno. Signal-safe: yes.
void RawPrint(int fd, std::string_view text);

struct Hex {
  std::uint64_t value;
};

// A line buffer that formats integers and text and writes to a descriptor when it is full or
// destroyed. Signal-safe: yes (no allocation, no locale).
class RawWriter {
 public:
  explicit RawWriter(int fd) : RawWriter(fd, own_, sizeof(own_)) {}
  // With the caller's buffer: what fits in there is one write(2).
  RawWriter(int fd, char* buffer, std::size_t size) : fd_(fd), buffer_(buffer), size_(size) {}
  RawWriter(const RawWriter&) = delete;
  RawWriter& operator=(const RawWriter&) = delete;
  ~RawWriter() { Flush(); }

  RawWriter& operator<<(std::string_view text);
  RawWriter& operator<<(char c) { return *this << std::string_view(&c, 1); }
  RawWriter& operator<<(Hex hex);
  template <std::integral T>
  RawWriter& operator<<(T value) {
    if constexpr (std::signed_integral<T>) {
      if (value < 0) {
        *this << std::string_view("-");
        return Unsigned(std::uint64_t{0} - static_cast<std::uint64_t>(value));
      }
    }
    return Unsigned(static_cast<std::uint64_t>(value));
  }
  void Flush();

 private:
  RawWriter& Unsigned(std::uint64_t value);

  int fd_;
  char* buffer_;
  std::size_t size_;
  std::size_t used_ = 0;
  char own_[1024];
};

}  // namespace urge::base

#endif  // URGE_RUNTIME_BASE_PRINT_H_

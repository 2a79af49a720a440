// SHA-256 (FIPS 180-4), plain and portable, in resumable portions.

#ifndef URGE_STRESS_COMMON_SHA256_H_
#define URGE_STRESS_COMMON_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace stress {

class Sha256 {
 public:
  using Digest = std::array<std::uint8_t, 32>;

  Sha256();
  void Update(std::string_view data);
  // Ends the message; the object must not be used any more.
  Digest Finish();

  static Digest Of(std::string_view data);
  static std::string Hex(const Digest& digest);

 private:
  void Block(const std::uint8_t* block);

  std::array<std::uint32_t, 8> state_;
  std::array<std::uint8_t, 64> pending_;
  std::size_t pending_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_SHA256_H_

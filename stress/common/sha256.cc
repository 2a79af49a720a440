// SHA-256. The constants are the first 32 bits of the fractional parts of square and cube roots of
// the first primes, computed at compile time rather than copied.

#include "stress/common/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace stress {
namespace {

using Wide = unsigned __int128;

template <std::size_t N>
constexpr std::array<std::uint32_t, N> FirstPrimes() {
  std::array<std::uint32_t, N> primes{};
  std::size_t found = 0;
  for (std::uint32_t n = 2; found < N; ++n) {
    bool prime = true;
    for (std::size_t i = 0; i < found; ++i) prime = prime && n % primes[i] != 0;
    if (prime) primes[found++] = n;
  }
  return primes;
}

// The first 32 fractional bits of the k-th root of n (k is 2 or 3): the largest x with
// x^k <= n * 2^(32 k), modulo 2^32.
constexpr std::uint32_t RootFraction(std::uint32_t n, int k) {
  const Wide target = Wide{n} << (32 * k);
  std::uint64_t x = 0;
  for (int bit = 37; bit >= 0; --bit) {
    const std::uint64_t candidate = x | (std::uint64_t{1} << bit);
    Wide power = candidate;
    for (int i = 1; i < k; ++i) power *= candidate;
    if (power <= target) x = candidate;
  }
  return static_cast<std::uint32_t>(x);
}

template <std::size_t N>
constexpr std::array<std::uint32_t, N> RootFractions(int k) {
  std::array<std::uint32_t, N> words{};
  constexpr auto kPrimes = FirstPrimes<N>();
  for (std::size_t i = 0; i < N; ++i) words[i] = RootFraction(kPrimes[i], k);
  return words;
}

constexpr auto kInitial = RootFractions<8>(2);
constexpr auto kRoundConstants = RootFractions<64>(3);
static_assert(kInitial[0] == 0x6a09e667 && kRoundConstants[63] == 0xc67178f2);

constexpr std::size_t kBlockBytes = 64, kLengthBytes = 8;

}  // namespace

Sha256::Sha256() : state_(kInitial) {}

void Sha256::Block(const std::uint8_t* block) {
  std::uint32_t w[64];
  for (int i = 0; i < 16; ++i) {
    std::uint32_t word;
    std::memcpy(&word, block + 4 * i, 4);
    w[i] = __builtin_bswap32(word);
  }
  for (int i = 16; i < 64; ++i) {
    const std::uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ (a >> 3)) + w[i - 7] +
           (std::rotr(b, 17) ^ std::rotr(b, 19) ^ (b >> 10));
  }
  auto [a, b, c, d, e, f, g, h] = state_;
  for (int i = 0; i < 64; ++i) {
    const std::uint32_t t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                             ((e & f) ^ (~e & g)) + kRoundConstants[i] + w[i];
    const std::uint32_t t2 =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const std::uint32_t mixed[] = {a, b, c, d, e, f, g, h};
  for (int i = 0; i < 8; ++i) state_[i] += mixed[i];
}

void Sha256::Update(std::string_view data) {
  total_bytes_ += data.size();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data.data());
  std::size_t left = data.size();
  if (pending_bytes_ != 0) {
    const std::size_t n = std::min(left, kBlockBytes - pending_bytes_);
    std::memcpy(pending_.data() + pending_bytes_, bytes, n);
    pending_bytes_ += n, bytes += n, left -= n;
    if (pending_bytes_ < kBlockBytes) return;
    Block(pending_.data());
    pending_bytes_ = 0;
  }
  for (; left >= kBlockBytes; bytes += kBlockBytes, left -= kBlockBytes) Block(bytes);
  if (left != 0) std::memcpy(pending_.data(), bytes, left);
  pending_bytes_ = left;
}

Sha256::Digest Sha256::Finish() {
  const std::uint64_t bits = total_bytes_ * 8;
  pending_[pending_bytes_++] = 0x80;
  if (pending_bytes_ > kBlockBytes - kLengthBytes) {
    std::fill(pending_.begin() + pending_bytes_, pending_.end(), 0);
    Block(pending_.data());
    pending_bytes_ = 0;
  }
  std::fill(pending_.begin() + pending_bytes_, pending_.end() - kLengthBytes, 0);
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    pending_[kBlockBytes - 1 - i] = static_cast<std::uint8_t>(bits >> (8 * i));
  }
  Block(pending_.data());
  Digest digest;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
  }
  return digest;
}

Sha256::Digest Sha256::Of(std::string_view data) {
  Sha256 hash;
  hash.Update(data);
  return hash.Finish();
}

std::string Sha256::Hex(const Digest& digest) {
  std::string hex;
  for (const std::uint8_t byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

}  // namespace stress

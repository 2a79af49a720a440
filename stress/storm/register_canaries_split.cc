// Canaries in registers: what registers.S stores must be what it loaded.

#include <bit>
#include <cstring>
#include <random>
#include <vector>

#include "stress/storm/canary.h"

extern "C" {
using StormRoutine = void(const void* in, void* out, std::uint64_t spins);
StormRoutine storm_general, storm_red_zone, storm_x87, storm_sse, storm_avx, storm_avx512;
}

namespace storm {
namespace {

class RegisterCanary final : public Canary {
 public:
  RegisterCanary(StormRoutine* routine, std::size_t words, const Shared& shared, std::uint64_t seed)
      : routine_(routine), most_steps_(shared.most_steps), random_(seed), in_(words), out_(words) {}

  std::optional<std::string> Round() override {
    for (std::uint64_t& word : in_) word = random_();
    if (routine_ == storm_red_zone) in_.back() = 0x401;  // the flags that the routine sets
    // x87 registers hold doubles: any but signalling not-a-numbers.
    if (routine_ == storm_x87) {
      for (std::uint64_t& word : in_) word = (word & 0x800fffffffffffff) | 0x3ff0000000000000;
    }
    routine_(in_.data(), out_.data(), 1 + random_() % most_steps_);
    for (std::size_t i = 0; i < in_.size(); ++i) {
      if (in_[i] != out_[i]) return "word " + std::to_string(i);
    }
    return std::nullopt;
  }

 private:
  StormRoutine* const routine_;
  const std::uint64_t most_steps_;
  std::mt19937_64 random_;
  std::vector<std::uint64_t> in_, out_;
};

}  // namespace

std::unique_ptr<Canary> MakeGeneralCanary(Shared& shared, std::uint64_t seed) {
  return std::make_unique<RegisterCanary>(storm_general, 14, shared, seed);
}
std::unique_ptr<Canary> MakeRedZoneCanary(Shared& shared, std::uint64_t seed) {
  return std::make_unique<RegisterCanary>(storm_red_zone, 17, shared, seed);
}
std::unique_ptr<Canary> MakeX87Canary(Shared& shared, std::uint64_t seed) {
  return std::make_unique<RegisterCanary>(storm_x87, 8, shared, seed);
}
std::unique_ptr<Canary> MakeSseCanary(Shared& shared, std::uint64_t seed) {
  return std::make_unique<RegisterCanary>(storm_sse, 32, shared, seed);
}
std::unique_ptr<Canary> MakeAvxCanary(Shared& shared, std::uint64_t seed) {
  return std::make_unique<RegisterCanary>(storm_avx, 64, shared, seed);
}
std::unique_ptr<Canary> MakeAvx512Canary(Shared& shared, std::uint64_t seed) {
  return std::make_unique<RegisterCanary>(storm_avx512, 264, shared, seed);
}

}  // namespace storm

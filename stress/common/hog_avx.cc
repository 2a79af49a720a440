// Wide vector registers: AVX-512 with mask registers, else AVX2, else plain integers.
//
// All three step the same 64 pairs of 32-bit numbers and must agree to the bit; the expected result
// comes from the plain one. The vector kernels hold all pairs in registers from one touch to the
// next, so a register half that a preemption loses spoils the result.

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstring>

#include "stress/common/hog.h"

namespace stress {
namespace {

constexpr int kLanes = 64;
constexpr int kStepsPerTouch = 3'000;
constexpr int kTouchesPerResult = 60;
constexpr std::uint32_t kRound = 0x9e3779b9;

struct alignas(64) State {
  std::uint32_t x[kLanes];
  std::uint32_t y[kLanes];
};
using Kernel = void (*)(State&, int steps);

State FirstState() {
  State state;
  for (std::uint32_t i = 0; i < kLanes; ++i) {
    state.x[i] = i * kRound + 1;
    state.y[i] = ~state.x[i];
  }
  return state;
}

// x' = rotl(x, 7) + (y ^ round); y' = y + (x' odd ? x' : 0)
void StepPlain(State& state, int steps) {
  for (int s = 0; s < steps; ++s) {
    for (int i = 0; i < kLanes; ++i) {
      state.x[i] = std::rotl(state.x[i], 7) + (state.y[i] ^ kRound);
      if (state.x[i] & 1) state.y[i] += state.x[i];
    }
  }
}

[[gnu::target("avx2")]] void StepAvx2(State& state, int steps) {
  // Half of the lanes at a time: 4 + 4 of the 16 registers, and scratch.
  constexpr int kVectors = 4, kPerVector = 8, kHalf = kVectors * kPerVector;
  const __m256i round = _mm256_set1_epi32(static_cast<int>(kRound));
  const __m256i one = _mm256_set1_epi32(1);
  for (int base = 0; base < kLanes; base += kHalf) {
    __m256i x[kVectors], y[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      x[v] = _mm256_load_si256(reinterpret_cast<__m256i*>(state.x + base + v * kPerVector));
      y[v] = _mm256_load_si256(reinterpret_cast<__m256i*>(state.y + base + v * kPerVector));
    }
    for (int s = 0; s < steps; ++s) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const __m256i rotated =
            _mm256_or_si256(_mm256_slli_epi32(x[v], 7), _mm256_srli_epi32(x[v], 25));
        x[v] = _mm256_add_epi32(rotated, _mm256_xor_si256(y[v], round));
        const __m256i odd = _mm256_cmpeq_epi32(_mm256_and_si256(x[v], one), one);
        y[v] = _mm256_add_epi32(y[v], _mm256_and_si256(x[v], odd));
      }
    }
    for (int v = 0; v < kVectors; ++v) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(state.x + base + v * kPerVector), x[v]);
      _mm256_store_si256(reinterpret_cast<__m256i*>(state.y + base + v * kPerVector), y[v]);
    }
  }
}

[[gnu::target("avx512f")]] void StepAvx512(State& state, int steps) {
  constexpr int kVectors = 4, kPerVector = 16;
  const __m512i round = _mm512_set1_epi32(static_cast<int>(kRound));
  const __m512i one = _mm512_set1_epi32(1);
  // gcc 12 warns of an uninitialised operand inside the unmasked rotation.
  constexpr __mmask16 all = 0xffff;
  __m512i x[kVectors], y[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    x[v] = _mm512_load_si512(state.x + v * kPerVector);
    y[v] = _mm512_load_si512(state.y + v * kPerVector);
  }
  for (int s = 0; s < steps; ++s) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      x[v] = _mm512_add_epi32(_mm512_maskz_rol_epi32(all, x[v], 7), _mm512_xor_si512(y[v], round));
      const __mmask16 odd = _mm512_test_epi32_mask(x[v], one);
      y[v] = _mm512_mask_add_epi32(y[v], odd, y[v], x[v]);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    _mm512_store_si512(state.x + v * kPerVector, x[v]);
    _mm512_store_si512(state.y + v * kPerVector, y[v]);
  }
}

class AvxHog : public HogKind {
 public:
  AvxHog() : kernel_(StepPlain), name_("plain integers"), expected_(FirstState()) {
    StepPlain(expected_, kStepsPerTouch * kTouchesPerResult);
    if (__builtin_cpu_supports("avx512f")) {
      kernel_ = StepAvx512;
      name_ = "AVX-512";
    } else if (__builtin_cpu_supports("avx2")) {
      kernel_ = StepAvx2;
      name_ = "AVX2";
    }
  }
  std::string Detail() const override { return name_; }
  void Work(HogRun& run) const override {
    for (;;) {
      State state = FirstState();
      for (int touch = 0; touch < kTouchesPerResult; ++touch) {
        kernel_(state, kStepsPerTouch);
        if (!run.Continue()) return;
      }
      if (!run.Verify(std::memcmp(&state, &expected_, sizeof(state)) == 0,
                      "avx: vector registers have lost their contents")) {
        return;
      }
    }
  }

 private:
  Kernel kernel_;
  const char* name_;
  State expected_;
};

}  // namespace

std::unique_ptr<HogKind> MakeAvxHog(std::string_view) { return std::make_unique<AvxHog>(); }

}  // namespace stress

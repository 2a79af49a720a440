// xstate.cc: see xstate.h. Source: Intel SDM vol. 1, chapter 13; Linux
// Documentation/arch/x86/xstate.rst.

#include "runtime/preempt/xstate.h"

#include <cpuid.h>

#include <cstring>

struct urge_xstate urge_xstate = {URGE_XFEATURE_X87 | URGE_XFEATURE_SSE, URGE_XSAVE_LEGACY_BYTES,
                                  URGE_XSTATE_FXSAVE, 0, 0};

namespace urge::preempt {
namespace {

struct CpuidResult {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
};

CpuidResult Cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  CpuidResult r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

std::uint64_t ReadXcr0() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

// Size of the compacted area that XSAVEC writes for `mask` (SDM vol. 1, 13.4.3).
std::uint32_t CompactedBytes(std::uint64_t mask) {
  std::uint32_t end = URGE_XSAVE_LEGACY_BYTES + URGE_XSAVE_HEADER_BYTES;
  for (std::uint32_t component = 2; component < 63; ++component) {
    if ((mask >> component & 1) == 0) continue;
    const CpuidResult r = Cpuid(URGE_CPUID_XSTATE_LEAF, component);
    if (r.ecx & 2) end = (end + URGE_XSAVE_ALIGN - 1) & ~std::uint32_t{URGE_XSAVE_ALIGN - 1};
    end += r.eax;
  }
  return end;
}

constexpr std::uint64_t kTileData = URGE_XFEATURE_TILE_DATA;

// The kernel describes a signal frame's extended state in the last 48 bytes of the FXSAVE area
// (struct _fpx_sw_bytes).
constexpr std::size_t kSoftwareBytesOffset = 464;
constexpr std::uint32_t kSoftwareMagic = 0x46505853;  // FP_XSTATE_MAGIC1

bool TilesLive(const ucontext_t& interrupted) {
  const auto* area = reinterpret_cast<const char*>(interrupted.uc_mcontext.fpregs);
  if (area == nullptr) return true;  // unknown: assume the worst
  std::uint32_t magic = 0;
  std::memcpy(&magic, area + kSoftwareBytesOffset, sizeof magic);
  if (magic != kSoftwareMagic) return false;  // a plain FXSAVE image holds no tiles
  std::uint64_t xstate_bv = 0;
  std::memcpy(&xstate_bv, area + URGE_XSAVE_XSTATE_BV, sizeof xstate_bv);
  return (xstate_bv & kTileData) != 0;
}

// Everything but live tiles: red zone and registers, the area, its alignment, and the call's return
// address.
std::size_t BytesWithoutTiles() {
  return URGE_PREEMPT_FIXED_BYTES + urge_xstate.size + URGE_XSAVE_ALIGN + sizeof(void*);
}

}  // namespace

void InitXState() {
  const CpuidResult features = Cpuid(1, 0);
  if ((features.ecx >> URGE_CPUID_1_ECX_OSXSAVE_BIT & 1) == 0) return;  // FXSAVE, as initialised
  struct urge_xstate x = {};
  x.mask = ReadXcr0() & ~std::uint64_t{URGE_XFEATURE_PKRU};
  const CpuidResult extensions = Cpuid(URGE_CPUID_XSTATE_LEAF, 1);
  if (extensions.eax >> URGE_CPUID_XSTATE_EAX_XSAVEC_BIT & 1) {
    x.kind = URGE_XSTATE_XSAVEC;
    x.size = CompactedBytes(x.mask & ~kTileData);
    x.tile_bytes = CompactedBytes(x.mask) - x.size;
  } else {
    // The standard format has fixed offsets, whatever the mask. Every processor with AMX has
    // XSAVEC.
    x.kind = URGE_XSTATE_XSAVE;
    x.mask &= ~std::uint64_t{URGE_XFEATURE_TILE_CFG | URGE_XFEATURE_TILE_DATA};
    x.size = Cpuid(URGE_CPUID_XSTATE_LEAF, 0).ebx;
  }
  urge_xstate = x;
}

std::size_t AsyncPreemptStackBytes() { return BytesWithoutTiles() + urge_xstate.tile_bytes; }

std::size_t AsyncPreemptStackBytes(const ucontext_t& interrupted) {
  if (urge_xstate.tile_bytes == 0) return BytesWithoutTiles();
  return BytesWithoutTiles() + (TilesLive(interrupted) ? urge_xstate.tile_bytes : 0);
}

}  // namespace urge::preempt

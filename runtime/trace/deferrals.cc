#include "runtime/trace/deferrals.h"

namespace urge::trace {

constinit DeferralTable g_deferrals;

namespace {

constexpr std::size_t kProbes = 8;
constinit std::atomic<NameCode> g_code_namer{nullptr};

}  // namespace

void CountDeferral(Counter cause, std::uintptr_t address) {
  if (address != 0) {
    const std::uint64_t key = address | std::uint64_t{static_cast<std::uint8_t>(cause)} << 48;
    std::size_t at = key * 0x9e3779b97f4a7c15u >> 54;
    static_assert(kDeferralSlots == std::size_t{1} << (64 - 54));
    for (std::size_t i = 0; i < kProbes; ++i, at = (at + 1) % kDeferralSlots) {
      DeferralTable::Slot& slot = g_deferrals.slots[at];
      // relaxed: a key is never taken back, and a count means something only with its key.
      std::uint64_t held = slot.key.load(std::memory_order_relaxed);
      if (held == 0 && slot.key.compare_exchange_strong(held, key, std::memory_order_relaxed)) {
        held = key;
      }
      if (held != key) continue;
      slot.count.fetch_add(1, std::memory_order_relaxed);
      return;
    }
  }
  g_deferrals.other[static_cast<std::size_t>(cause)].fetch_add(1, std::memory_order_relaxed);
}

const char* DeferralName(Counter cause) {
  switch (cause) {
    case Counter::kDeferRuntime:
      return "runtime";
    case Counter::kDeferRuntimeLock:
      return "runtime_lock";
    case Counter::kDeferOpaque:
      return "opaque";
    case Counter::kDeferDenied:
      return "denied";
    case Counter::kDeferNoPreempt:
      return "no_preempt";
    case Counter::kDeferNoRoom:
      return "no_room";
    case Counter::kDeferForeignStack:
      return "foreign_stack";
    case Counter::kDeferSignalMask:
      return "signal_mask";
    case Counter::kDeferCallback:
      return "callback";
    case Counter::kDeferUnwalkable:
      return "unwalkable";
    case Counter::kDeferThreads:
      return "threads";
    case Counter::kDeferNotWanted:
      return "not_wanted";
    default:
      return "?";
  }
}

void SetCodeNamer(NameCode name_code) { g_code_namer.store(name_code, std::memory_order_release); }
NameCode CodeNamer() { return g_code_namer.load(std::memory_order_acquire); }

}  // namespace urge::trace

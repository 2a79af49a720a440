// Where preemption was put off: how often, by cause and by function.
//
//  1. CountDeferral, in the preemption signal's handler, counts in a fixed table of single words,
//     keyed by the cause and the address of the function. An entry is claimed by compare-and-swap
//     and never given back, so nothing is lost but what finds its neighbourhood full: that is
//     counted under "other", by cause.
//  2. Readers name the addresses, through a function that a higher layer lends them: this layer
//     knows no symbols.
//
// The address of a function that was unloaded may be another's by the time it is named.

#ifndef URGE_RUNTIME_TRACE_DEFERRALS_H_
#define URGE_RUNTIME_TRACE_DEFERRALS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/trace/counters.h"

namespace urge::trace {

// Requires: cause is one of Counter::kDefer*. `address` 0: unknown. Signal-safe: yes.
void CountDeferral(Counter cause, std::uintptr_t address);

struct Deferral {
  Counter cause;
  std::uintptr_t address;  // 0: the table was full, or it wasn't known
  std::uint64_t count;
};
// Calls visit for each entry that isn't zero. Runs on: any thread.
template <class Visit>
void ForEachDeferral(Visit visit);

// "opaque", "no_preempt", …: the counter's name in metrics without its prefix.
const char* DeferralName(Counter cause);

// Sets *module (a path) and *symbol to those of the code at an address; empty where unknown.
using NameCode = void (*)(std::uintptr_t address, std::string* module, std::string* symbol);
void SetCodeNamer(NameCode name_code);
NameCode CodeNamer();

// --- Implementation ---

inline constexpr std::size_t kDeferralSlots = 1024;  // a power of two
struct DeferralTable {
  struct Slot {
    std::atomic<std::uint64_t> key{0};  // the address, and the cause above bit 48; 0: free
    std::atomic<std::uint64_t> count{0};
  };
  Slot slots[kDeferralSlots];
  std::atomic<std::uint64_t> other[kCounterCount];  // by cause
};
extern DeferralTable g_deferrals;

template <class Visit>
void ForEachDeferral(Visit visit) {
  constexpr std::uint64_t kAddress = (std::uint64_t{1} << 48) - 1;
  for (const DeferralTable::Slot& slot : g_deferrals.slots) {
    const std::uint64_t key = slot.key.load(std::memory_order_relaxed);
    const std::uint64_t count = slot.count.load(std::memory_order_relaxed);
    if (count != 0) visit(Deferral{static_cast<Counter>(key >> 48), key & kAddress, count});
  }
  for (std::size_t i = 0; i < kCounterCount; ++i) {
    const std::uint64_t count = g_deferrals.other[i].load(std::memory_order_relaxed);
    if (count != 0) visit(Deferral{static_cast<Counter>(i), 0, count});
  }
}

}  // namespace urge::trace

#endif  // URGE_RUNTIME_TRACE_DEFERRALS_H_

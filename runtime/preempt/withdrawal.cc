// Hides the text of modules that are being closed; see withdrawal.h.

#include "runtime/preempt/withdrawal.h"

#include <algorithm>
#include <atomic>

#include "runtime/preempt/cfi.h"
#include "runtime/preempt/map.h"
#include "runtime/preempt/modules.h"

namespace urge::preempt {
namespace {

enum PlaceState : uint32_t { kFree, kClaimed, kActive, kClosed };
constexpr int kPlaces = 8;
constexpr int kNoPlace = -1;

struct WithdrawnPlace {
  std::atomic<uint32_t> state{kFree};
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};
};
constinit WithdrawnPlace withdrawn_places[kPlaces];
// Places in use, and closings for which there was no place.
constinit std::atomic<int> withdrawn_count{0};
constinit std::atomic<int> withdrawn_all{0};

// Returns the place taken, or kNoPlace: then everything is withdrawn.
int Withdraw(AddressRange text) {
  for (int i = 0; i < kPlaces; ++i) {
    WithdrawnPlace& place = withdrawn_places[i];
    uint32_t expected = kFree;
    if (!place.state.compare_exchange_strong(expected, kClaimed, std::memory_order_acquire,
                                             std::memory_order_relaxed)) {
      continue;
    }
    place.begin.store(text.begin, std::memory_order_relaxed);
    place.end.store(text.end, std::memory_order_relaxed);
    // Release: pairs with IsWithdrawn; publishes the bounds.
    place.state.store(kActive, std::memory_order_release);
    withdrawn_count.fetch_add(1, std::memory_order_release);
    return i;
  }
  withdrawn_all.fetch_add(1, std::memory_order_relaxed);
  withdrawn_count.fetch_add(1, std::memory_order_release);
  return kNoPlace;
}

}  // namespace

bool IsWithdrawn(uintptr_t pc) {
  // Acquire: pairs with the release in Withdraw; the place's bounds are seen.
  if (withdrawn_count.load(std::memory_order_acquire) == 0) return false;
  if (withdrawn_all.load(std::memory_order_relaxed) != 0) return true;
  for (const WithdrawnPlace& place : withdrawn_places) {
    const uint32_t state = place.state.load(std::memory_order_acquire);
    if ((state == kActive || state == kClosed) &&
        pc >= place.begin.load(std::memory_order_relaxed) &&
        pc < place.end.load(std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

uint32_t ClosedPlaces() {
  uint32_t closed = 0;
  for (int i = 0; i < kPlaces; ++i) {
    // Acquire: pairs with ~ModuleWithdrawal; a snapshot taken from here on lacks the module.
    if (withdrawn_places[i].state.load(std::memory_order_acquire) == kClosed) closed |= 1u << i;
  }
  return closed;
}

void FreePlaces(uint32_t places) {
  for (int i = 0; i < kPlaces; ++i) {
    if ((places & (1u << i)) == 0) continue;
    withdrawn_count.fetch_sub(1, std::memory_order_relaxed);
    withdrawn_places[i].state.store(kFree, std::memory_order_release);
  }
}

ModuleWithdrawal::ModuleWithdrawal(uintptr_t address) : place_(kNoPlace) {
  const ModuleList list = ModuleList::Snapshot();
  const Module* module = list.Find(address);
  AddressRange text;
  if (module != nullptr) {
    text = {module->text[0].begin, module->text[module->text_count - 1].end};
  }
  place_ = Withdraw(text);
  InvalidateCfiCache();
}

ModuleWithdrawal::ModuleWithdrawal(Libraries) : place_(kNoPlace) {
  const ModuleList list = ModuleList::Snapshot();
  AddressRange libraries{UINTPTR_MAX, 0};
  for (const Module& module : list.modules()) {
    if (module.main_program || module.text_count == 0) continue;
    libraries.begin = std::min(libraries.begin, module.text[0].begin);
    libraries.end = std::max(libraries.end, module.text[module.text_count - 1].end);
  }
  place_ = Withdraw(libraries);
  InvalidateCfiCache();
}

ModuleWithdrawal::~ModuleWithdrawal() {
  if (place_ == kNoPlace) {
    // The map is stale until the rebuild is done, but there is no place to remember that in.
    PreemptionMap::Rebuild();
    withdrawn_count.fetch_sub(1, std::memory_order_relaxed);
    withdrawn_all.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  // Release: pairs with ClosedPlaces.
  withdrawn_places[place_].state.store(kClosed, std::memory_order_release);
  PreemptionMap::Rebuild();
}

}  // namespace urge::preempt

#include "runtime/trace/event_ring.h"

#include <sys/mman.h>

namespace urge::trace {

bool EventRing::Allocate(std::size_t events) {
  if (allocated()) return true;
  const std::size_t bytes = events * sizeof(Slot);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  // All that try at once store the same mask.
  mask_ = events - 1;
  Slot* none = nullptr;
  // release: pairs with allocated(); publishes the mask and the zeros.
  if (!slots_.compare_exchange_strong(none, static_cast<Slot*>(memory),
                                      std::memory_order_acq_rel)) {
    munmap(memory, bytes);
  }
  return true;
}

void EventRing::WriteShared(EventKind kind, std::uint8_t detail, std::uint16_t thread,
                            std::uint64_t a, std::uint64_t b, std::uint64_t ticks) {
  Slot* slots = slots_.load(std::memory_order_acquire);
  const std::uint64_t at = head_.fetch_add(1, std::memory_order_relaxed);
  Slot& slot = slots[at & mask_];
  std::uint64_t meta = slot.meta.load(std::memory_order_relaxed);
  // acquire: the words of whoever had the slot before are stored; ours come after them.
  if (meta == kBusy || !slot.meta.compare_exchange_strong(meta, kBusy, std::memory_order_acquire,
                                                          std::memory_order_relaxed)) {
    return;
  }
  Fill(slot, at, kind, detail, thread, a, b, ticks);
}

EventRing::Found EventRing::Read(std::uint64_t at, Event* event) const {
  const Slot& slot = slots_.load(std::memory_order_acquire)[at & mask_];
  const std::uint64_t meta = slot.meta.load(std::memory_order_acquire);
  event->ticks = slot.ticks.load(std::memory_order_relaxed);
  event->a = slot.a.load(std::memory_order_relaxed);
  event->b = slot.b.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_acquire);
  const bool whole = slot.meta.load(std::memory_order_relaxed) == meta;
  if (!whole || meta == kBusy ||
      static_cast<std::uint32_t>(meta) != static_cast<std::uint32_t>(at + 1)) {
    return head() > at + capacity() ? Found::kOverwritten : Found::kUnfinished;
  }
  event->kind = static_cast<EventKind>(meta >> 32 & 0xff);
  event->detail = static_cast<std::uint8_t>(meta >> 40);
  event->thread = static_cast<std::uint16_t>(meta >> 48);
  event->order = static_cast<std::uint16_t>(at);
  return Found::kEvent;
}

}  // namespace urge::trace

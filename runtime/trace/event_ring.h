// EventRing: the last events of one P, or of all threads without a P.
//
// A ring of slots, four words each, and `head`, the number of events begun.
//
// Write (owner)   The writer is the P's owner and the signal handlers of that thread. It takes a
//                 place by one xadd without a lock prefix: a handler comes before or after it.
//                 Then: meta = busy; ticks, a, b; meta = place + 1, kind, detail, thread.
// Write (shared)  The place by a locked xadd. A writer that slept for a whole lap may meet another
//                 in its slot, so a slot is claimed by compare-and-swap of meta to busy. Whoever
//                 finds it busy gives up: its event is lost, and the reader sees that it is.
// Read (anyone)   meta; ticks, a, b; meta again. The event of place n is there, whole, if and only
//                 if both looks find n + 1. Else it is not written yet, or overwritten, or was
//                 lost; which of these is told by `head` and time.
//
// Memory orders: writers store busy, a release fence, the words, then meta with release; readers
// load meta with acquire, the words, an acquire fence, then meta: a word of a later event is seen
// only along with busy or that event's meta. (Boehm, "Can seqlocks get along with programming
// language memory models?", 2012.) On x86-64 all of that is plain moves.
//
// The number in meta is 32 bits: a reader would have to sleep between its two looks for exactly
// 2^32 events to be deceived.

#ifndef URGE_RUNTIME_TRACE_EVENT_RING_H_
#define URGE_RUNTIME_TRACE_EVENT_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/config.h"
#include "runtime/base/ticks.h"
#include "runtime/trace/event.h"

namespace urge::trace {

class EventRing {
 public:
  constexpr EventRing() = default;
  EventRing(const EventRing&) = delete;
  EventRing& operator=(const EventRing&) = delete;

  // Makes room for `events` (a power of two) unless there is room already; it is never freed. Of
  // several callers one does it. False without memory. Straight from the system: may run on g0.
  bool Allocate(std::size_t events);
  bool allocated() const { return slots_.load(std::memory_order_acquire) != nullptr; }

  // Requires: allocated. Runs on: the owner (G, g0, handler). Signal-safe: yes.
  void Write(EventKind kind, std::uint8_t detail, std::uint16_t thread, std::uint64_t a,
             std::uint64_t b, std::uint64_t ticks = base::Ticks()) {
    // relaxed: what the owner was given along with the ring.
    Slot* slots = slots_.load(std::memory_order_relaxed);
    std::uint64_t at = 1;
    asm("xaddq %0, %1" : "+r"(at), "+m"(head_) : : "cc");
    Slot& slot = slots[at & mask_];
    slot.meta.store(kBusy, std::memory_order_relaxed);
    Fill(slot, at, kind, detail, thread, a, b, ticks);
  }
  // For a ring without an owner. Requires: allocated. Runs on: any thread. Signal-safe: yes.
  void WriteShared(EventKind kind, std::uint8_t detail, std::uint16_t thread, std::uint64_t a,
                   std::uint64_t b, std::uint64_t ticks = base::Ticks());

  // --- Readers; any thread ---

  // Places run from 0 to head() - 1; those before head() - capacity() are overwritten.
  std::uint64_t head() const { return head_.load(std::memory_order_acquire); }
  std::uint64_t capacity() const { return allocated() ? mask_ + 1 : 0; }

  enum class Found { kEvent, kUnfinished /* or lost */, kOverwritten };
  // Fills in all of the event but its source. Requires: at < head().
  Found Read(std::uint64_t at, Event* event) const;

 private:
  struct Slot {
    std::atomic<std::uint64_t> meta;  // 0 at first; see MetaOf
    std::atomic<std::uint64_t> ticks;
    std::atomic<std::uint64_t> a;
    std::atomic<std::uint64_t> b;
  };
  static_assert(sizeof(Slot) == sizeof(Event));

  // Of no event: places are numbered from 1, and kinds are few.
  static constexpr std::uint64_t kBusy = std::uint64_t{0xff} << 32;

  static std::uint64_t MetaOf(std::uint64_t at, EventKind kind, std::uint8_t detail,
                              std::uint16_t thread) {
    return ((at + 1) & 0xffffffffu) | std::uint64_t{static_cast<std::uint8_t>(kind)} << 32 |
           std::uint64_t{detail} << 40 | std::uint64_t{thread} << 48;
  }
  static void Fill(Slot& slot, std::uint64_t at, EventKind kind, std::uint8_t detail,
                   std::uint16_t thread, std::uint64_t a, std::uint64_t b, std::uint64_t ticks) {
    std::atomic_thread_fence(std::memory_order_release);
    slot.ticks.store(ticks, std::memory_order_relaxed);
    slot.a.store(a, std::memory_order_relaxed);
    slot.b.store(b, std::memory_order_relaxed);
    slot.meta.store(MetaOf(at, kind, detail, thread), std::memory_order_release);
  }

  std::atomic<Slot*> slots_{nullptr};
  std::uint64_t mask_ = 0;  // [c] once slots_ is set
  std::atomic<std::uint64_t> head_{0};
};

}  // namespace urge::trace

#endif  // URGE_RUNTIME_TRACE_EVENT_RING_H_

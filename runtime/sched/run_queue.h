// RunQueue: a P's queue of runnable goroutines.
//
// A ring of `Slots` entries with one producer (the owner of the P) and many consumers (the owner
// and thieves), plus two single slots that the owner serves before the ring:
//   next    the goroutine readied last by the running one: it runs next and inherits the rest of
//           its time slice (Go: runnext);
//   victim  the goroutine whose P was taken by a wake-up: the head of the queue.
//
// Invariants
//  - head and tail only grow (modulo 2^32), tail - head <= Slots. Entries [head, tail) are queued.
//  - Only the owner writes tail and the entries; head moves by compare-and-swap, so an entry is
//    handed out once. There is no ABA: head never goes back.
//  - next and victim: only the owner makes them non-null, anybody makes them null by
//    compare-and-swap. So where the owner finds null a plain store is enough.
//
// Orders: the owner's release store of tail publishes the entries to thieves' acquire loads of
// tail; a consumer's release CAS of head, after it has read the entries, lets the owner reuse
// them (acquire load of head in Push).
//
// Source: Go's runqput, runqget, runqgrab, runqsteal. `Slots` is a parameter so that tests can
// reach every wrap-around and overflow with a tiny ring.

#ifndef URGE_RUNTIME_SCHED_RUN_QUEUE_H_
#define URGE_RUNTIME_SCHED_RUN_QUEUE_H_

#include <atomic>
#include <cstdint>

#include "runtime/base/config.h"
#include "runtime/base/lists.h"
#include "runtime/sched/g.h"

namespace urge::sched {

using GQueue = base::Queue<G, &G::link>;

template <std::uint32_t Slots>
class BasicRunQueue {
  static_assert((Slots & (Slots - 1)) == 0 && Slots >= 2);

 public:
  // --- Owner ---

  // Adds at the tail. False when the ring is full.
  bool TryPush(G* gp) {
    // acquire: pairs with consumers' release of head; they have read the entry we overwrite.
    const std::uint32_t head = head_.load(std::memory_order_acquire);
    const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head >= Slots) return false;
    slots_[tail % Slots].store(gp, std::memory_order_relaxed);
    // release: publishes the entry to thieves' acquire load of tail.
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Takes the head of the ring, or null.
  G* Pop() {
    std::uint32_t head = head_.load(std::memory_order_acquire);
    for (;;) {
      if (head == tail_.load(std::memory_order_relaxed)) return nullptr;
      G* gp = slots_[head % Slots].load(std::memory_order_relaxed);
      // release: pairs with TryPush's acquire; the entry has been read.
      if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        return gp;
      }
    }
  }

  // As Pop, while it is certain that no thief exists (one P): no atomic read-modify-write.
  G* PopUncontended() {
    const std::uint32_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_relaxed)) return nullptr;
    G* gp = slots_[head % Slots].load(std::memory_order_relaxed);
    head_.store(head + 1, std::memory_order_release);
    return gp;
  }

  // When the ring is full: moves half of it to `out` (oldest first). Returns false if consumers
  // made room meanwhile. Go: runqputslow.
  bool TakeHalf(GQueue& out) {
    std::uint32_t head = head_.load(std::memory_order_acquire);
    const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
    const std::uint32_t n = (tail - head) / 2;
    if (n != Slots / 2) return false;
    G* batch[Slots / 2];
    for (std::uint32_t i = 0; i < n; ++i) {
      batch[i] = slots_[(head + i) % Slots].load(std::memory_order_relaxed);
    }
    if (!head_.compare_exchange_strong(head, head + n, std::memory_order_acq_rel,
                                       std::memory_order_relaxed)) {
      return false;
    }
    for (std::uint32_t i = 0; i < n; ++i) out.PushBack(batch[i]);
    return true;
  }

  // Puts gp into the next slot and returns who was there.
  G* ReplaceNext(G* gp) { return Replace(next_, gp); }
  G* ReplaceVictim(G* gp) { return Replace(victim_, gp); }
  G* ReplaceNextUncontended(G* gp) {
    G* old = next_.load(std::memory_order_relaxed);
    next_.store(gp, std::memory_order_release);
    return old;
  }
  G* PopNext() { return Take(next_); }
  G* PopVictim() { return Take(victim_); }
  G* PopNextUncontended() {
    G* gp = next_.load(std::memory_order_relaxed);
    if (gp != nullptr) next_.store(nullptr, std::memory_order_relaxed);
    return gp;
  }

  // --- Anybody ---

  // May be out of date at once; never falsely empty for the owner. Go: runqempty, which must not
  // miss a goroutine that moves from next to the ring: hence the second look at tail.
  bool Empty() const {
    for (;;) {
      const std::uint32_t head = head_.load(std::memory_order_acquire);
      const std::uint32_t tail = tail_.load(std::memory_order_acquire);
      const G* next = next_.load(std::memory_order_acquire);
      const G* victim = victim_.load(std::memory_order_acquire);
      if (tail == tail_.load(std::memory_order_acquire)) {
        return head == tail && next == nullptr && victim == nullptr;
      }
    }
  }
  std::uint32_t Size() const {
    const std::uint32_t head = head_.load(std::memory_order_acquire);
    const std::uint32_t tail = tail_.load(std::memory_order_acquire);
    const std::uint32_t ring = tail - head;
    return (ring > Slots ? 0 : ring) + (PeekNext() != nullptr) +
           (victim_.load(std::memory_order_relaxed) != nullptr);
  }
  std::uint32_t RingSize() const {
    return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire);
  }
  const G* PeekNext() const { return next_.load(std::memory_order_acquire); }
  bool HasVictim() const { return victim_.load(std::memory_order_relaxed) != nullptr; }

  // Moves half of this ring (rounded up) into the ring of `thief`, which its owner calls with an
  // empty ring; returns one more to run, or null. Go: runqsteal.
  G* StealHalfInto(BasicRunQueue& thief) {
    const std::uint32_t thief_tail = thief.tail_.load(std::memory_order_relaxed);
    for (;;) {
      std::uint32_t head = head_.load(std::memory_order_acquire);
      // acquire: pairs with the owner's release; the entries up to tail are visible.
      const std::uint32_t tail = tail_.load(std::memory_order_acquire);
      std::uint32_t n = tail - head;
      n = n - n / 2;
      if (n == 0) return nullptr;
      if (n > Slots / 2) continue;  // head and tail were read at different times
      G* last = nullptr;
      for (std::uint32_t i = 0; i < n; ++i) {
        last = slots_[(head + i) % Slots].load(std::memory_order_relaxed);
        thief.slots_[(thief_tail + i) % Slots].store(last, std::memory_order_relaxed);
      }
      if (head_.compare_exchange_strong(head, head + n, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
        // The last one is returned, the others published.
        thief.tail_.store(thief_tail + n - 1, std::memory_order_release);
        return last;
      }
    }
  }
  G* StealNext() { return Take(next_); }
  G* StealVictim() { return Take(victim_); }

 private:
  static G* Replace(std::atomic<G*>& slot, G* gp) {
    G* old = slot.load(std::memory_order_relaxed);
    if (old == nullptr) {
      // Only the owner fills the slot: nobody else can change null. release: publishes *gp.
      slot.store(gp, std::memory_order_release);
      return nullptr;
    }
    return slot.exchange(gp, std::memory_order_acq_rel);
  }
  static G* Take(std::atomic<G*>& slot) {
    G* gp = slot.load(std::memory_order_acquire);
    while (gp != nullptr && !slot.compare_exchange_weak(gp, nullptr, std::memory_order_acq_rel,
                                                        std::memory_order_acquire)) {
    }
    return gp;
  }

  // The owner's line, then the line that thieves write.
  alignas(base::kCacheLine) std::atomic<std::uint32_t> tail_{0};  // [p]
  std::atomic<G*> next_{nullptr};                                 // [a]
  std::atomic<G*> victim_{nullptr};                               // [a]
  alignas(base::kCacheLine) std::atomic<std::uint32_t> head_{0};  // [a]
  alignas(base::kCacheLine) std::atomic<G*> slots_[Slots] = {};   // [p], read by thieves
};

using RunQueue = BasicRunQueue<base::kRunQueueSlots>;

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_RUN_QUEUE_H_

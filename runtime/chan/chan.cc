// Channels, without their element type. (The header adds that: <urge/chan.h>.)
//
// Invariants, whenever the lock is free
//  - At most one of senders_ and receivers_ has somebody in it.
//  - Of a buffered channel: if count_ > 0, nobody is in receivers_; if count_ < capacity_, nobody
//    is in senders_.
//  - Of a closed one: both are empty, and stay so.
//  - The elements are in buffer_ from recv_index_ on, cyclically, oldest first; what senders_
//    hold comes after them, first waiter first.
//
// How an operation goes
//  1. Under the lock: if the other side waits, its first waiter is unlisted and the element's
//     bytes are copied straight to or from the place that Waiter::value points to; else from or to
//     the buffer; else the caller lists its own Waiter and parks, and the lock is released after
//     the switch.
//  2. After the lock: the other side's waiter is woken. Waiter::ok tells it whether its element
//     was moved or the channel was closed.
// A waiter's frame, and so the element in it, stays until Wake(). The lock's release is the last
// touch of a channel by an operation: a waiter whom it sets free may drop the last handle.
//
// Only bytes are copied under the lock, so no code of a user's runs there and nothing throws. The
// copies are open-coded, because libc's memcpy may be preempted and the runtime's own text may not.
//
// A select will list one Waiter per case, all sharing a word; whoever unlists one must win that
// word by a compare-and-swap, else passes over it (Go: sudog.isSelect, g.selectDone). PopFirst is
// the one place for that; Waiter::prev is there for the cases that lose.
//
// Rejected: elements of any type moved in place under a lock that only parks goroutines: a throwing
// move then leaves a hole in the order; a lock-free ring: blocking and closing need the list, and
// its ordering with the ring costs the second read-modify-write that the WordLock saves.
//
// Source: Go's chan.go.

#include <cstring>
#include <new>
#include <stdexcept>

#include <urge/detail/chan_core.h>

#include "runtime/base/check.h"
#include "runtime/base/word_lock.h"
#include "runtime/sched/park.h"
#include "runtime/sched/wait_word.h"

namespace urge::detail {
namespace {

using sched::Waiter;
using sched::WaitReason;

// The classic sizes first; the rest by eight bytes and one byte at a time. The barrier keeps the
// compiler from making a call of memcpy out of a loop.
inline void CopyBytes(void* to, const void* from, std::uint32_t bytes) {
  switch (bytes) {
    case 8:
      __builtin_memcpy(to, from, 8);
      return;
    case 4:
      __builtin_memcpy(to, from, 4);
      return;
    case 16:
      __builtin_memcpy(to, from, 16);
      return;
    default:
      auto* t = static_cast<unsigned char*>(to);
      auto* f = static_cast<const unsigned char*>(from);
      for (; bytes >= 8; bytes -= 8, t += 8, f += 8) {
        __builtin_memcpy(t, f, 8);
        base::CompilerBarrier();
      }
      for (; bytes > 0; --bytes, ++t, ++f) {
        *t = *f;
        base::CompilerBarrier();
      }
  }
}

enum class Blocking { kNo, kYes };

}  // namespace

// The operations, with access to the core's fields.
struct chan_ops {
  using Queue = chan_core::waiter_queue;

  static void PushBack(Queue& queue, Waiter* waiter) {
    auto* last = static_cast<Waiter*>(queue.last);
    waiter->prev = last;
    if (last != nullptr) {
      last->next = waiter;
    } else {
      queue.first.store(waiter, std::memory_order_relaxed);
    }
    queue.last = waiter;
  }

  static Waiter* PopFirst(Queue& queue) {
    auto* first = static_cast<Waiter*>(queue.first.load(std::memory_order_relaxed));
    if (first == nullptr) return nullptr;
    queue.first.store(first->next, std::memory_order_relaxed);
    if (first->next != nullptr) {
      first->next->prev = nullptr;
    } else {
      queue.last = nullptr;
    }
    return first;
  }

  static Waiter* TakeAll(Queue& queue) {
    auto* first = static_cast<Waiter*>(queue.first.load(std::memory_order_relaxed));
    queue.first.store(nullptr, std::memory_order_relaxed);
    queue.last = nullptr;
    return first;
  }

  static void WakeAll(Waiter* first) {
    while (first != nullptr) {
      Waiter* const next = first->next;  // the waiter is gone after Wake()
      first->Wake();
      first = next;
    }
  }

  static void* Slot(chan_core& c, std::size_t index) {
    return c.buffer_ + index * c.element_bytes_;
  }
  static std::size_t Following(chan_core& c, std::size_t index) {
    return index + 1 == c.capacity_ ? 0 : index + 1;
  }

  static void Unlock(chan_core& c) { base::UnlockWord(c.lock_); }

  static void Finish(chan_core& c, Waiter* other) {
    other->ok = true;
    Unlock(c);
    other->Wake();
    sched::MaybeYield();
  }

  static chan_status Block(chan_core& c, Queue& queue, void* element, WaitReason reason) {
    Waiter self;
    self.value = element;
    PushBack(queue, &self);
    sched::WaitWord(self, c.lock_, reason);
    return self.ok ? chan_status::ok : chan_status::closed;
  }

  template <Blocking blocking>
  static chan_status Send(chan_core& c, const void* element) {
    base::LockWord(c.lock_);
    if (URGE_UNLIKELY(c.closed_.load(std::memory_order_relaxed))) {
      Unlock(c);
      return chan_status::closed;
    }
    if (Waiter* receiver = PopFirst(c.receivers_)) {
      CopyBytes(receiver->value, element, c.element_bytes_);
      Finish(c, receiver);
      return chan_status::ok;
    }
    const std::size_t count = c.count_.load(std::memory_order_relaxed);
    if (count < c.capacity_) {
      CopyBytes(Slot(c, c.send_index_), element, c.element_bytes_);
      c.send_index_ = Following(c, c.send_index_);
      c.count_.store(count + 1, std::memory_order_relaxed);
      Unlock(c);
      return chan_status::ok;
    }
    if constexpr (blocking == Blocking::kNo) {
      Unlock(c);
      return chan_status::would_block;
    } else {
      return Block(c, c.senders_, const_cast<void*>(element), WaitReason::kChanSend);
    }
  }

  template <Blocking blocking>
  static chan_status Receive(chan_core& c, void* element) {
    base::LockWord(c.lock_);
    const std::size_t count = c.count_.load(std::memory_order_relaxed);
    Waiter* const sender = PopFirst(c.senders_);
    if (count > 0) {
      void* const slot = Slot(c, c.recv_index_);
      CopyBytes(element, slot, c.element_bytes_);
      c.recv_index_ = Following(c, c.recv_index_);
      if (sender != nullptr) {
        // The buffer was full, so the place just left is where the next element goes.
        CopyBytes(slot, sender->value, c.element_bytes_);
        c.send_index_ = c.recv_index_;
        Finish(c, sender);
      } else {
        c.count_.store(count - 1, std::memory_order_relaxed);
        Unlock(c);
      }
      return chan_status::ok;
    }
    if (sender != nullptr) {
      CopyBytes(element, sender->value, c.element_bytes_);
      Finish(c, sender);
      return chan_status::ok;
    }
    if (c.closed_.load(std::memory_order_relaxed)) {
      Unlock(c);
      return chan_status::closed;
    }
    if constexpr (blocking == Blocking::kNo) {
      Unlock(c);
      return chan_status::would_block;
    } else {
      return Block(c, c.receivers_, element, WaitReason::kChanReceive);
    }
  }

  static bool Close(chan_core& c) {
    base::LockWord(c.lock_);
    if (c.closed_.load(std::memory_order_relaxed)) {
      Unlock(c);
      return false;
    }
    // Release: pairs with closed(); all that was sent is counted before.
    base::AnnotateRelease(&c.closed_);
    c.closed_.store(true, std::memory_order_release);
    Waiter* const receivers = TakeAll(c.receivers_);
    Waiter* const senders = TakeAll(c.senders_);
    Unlock(c);
    WakeAll(receivers);
    WakeAll(senders);
    sched::MaybeYield();
    return true;
  }
};

chan_core* chan_core::create(std::ptrdiff_t capacity, std::size_t element_bytes,
                             std::size_t extra_bytes, stop_function stop) {
  if (capacity < 0) throw std::invalid_argument("urge::chan: negative capacity");
  constexpr std::size_t kAlign = alignof(chan_core);
  const std::size_t fixed = sizeof(chan_core) + (extra_bytes + kAlign - 1) / kAlign * kAlign;
  if (static_cast<std::size_t>(capacity) > (PTRDIFF_MAX - fixed) / element_bytes) {
    throw std::length_error("urge::chan: capacity too large");
  }
  void* const memory = ::operator new(fixed + static_cast<std::size_t>(capacity) * element_bytes);
  auto* const core = ::new (memory) chan_core;
  core->element_bytes_ = static_cast<std::uint32_t>(element_bytes);
  core->capacity_ = static_cast<std::size_t>(capacity);
  core->buffer_ = static_cast<unsigned char*>(memory) + fixed;
  core->stop_ = stop;
  if (extra_bytes != 0) std::memset(core->extra(), 0, extra_bytes);
  return core;
}

void chan_core::destroy() noexcept {
  if (stop_ != nullptr) stop_(extra());
  this->~chan_core();
  ::operator delete(this);
}

chan_status chan_core::send(const void* element) noexcept {
  return chan_ops::Send<Blocking::kYes>(*this, element);
}

chan_status chan_core::recv(void* element) noexcept {
  return chan_ops::Receive<Blocking::kYes>(*this, element);
}

chan_status chan_core::try_send(const void* element) noexcept {
  // Without the lock: "full" was true at some moment of the call, and closed() was false then or
  // before, so the answer is that of an attempt at that moment. Go: chansend's fast path.
  if (!closed() && full()) return chan_status::would_block;
  return chan_ops::Send<Blocking::kNo>(*this, element);
}

chan_status chan_core::try_recv(void* element) noexcept {
  if (empty()) {
    if (!closed()) return chan_status::would_block;
    // closed() acquires: an element sent before the close is seen now. Go: chanrecv's fast path.
    if (empty()) {
      base::AnnotateAcquire(&closed_);
      return chan_status::closed;
    }
  }
  return chan_ops::Receive<Blocking::kNo>(*this, element);
}

bool chan_core::close() noexcept { return chan_ops::Close(*this); }

void block_on_nil_send() noexcept { sched::WaitForNobody(WaitReason::kChanSendNil); }
void block_on_nil_recv() noexcept { sched::WaitForNobody(WaitReason::kChanReceiveNil); }

}  // namespace urge::detail

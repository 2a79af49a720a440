// The part of a channel that doesn't know its element type; runtime/chan/chan.cc has its rules.
//
// It copies elements as bytes, some of them under its lock, so it is given only elements for
// which that is right: small trivially copyable ones, and pointers to boxes (see chan.h).

#ifndef URGE_DETAIL_CHAN_CORE_H_
#define URGE_DETAIL_CHAN_CORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <urge/detail/export.h>

namespace urge::detail {

enum class chan_status : std::uint8_t {
  ok,
  would_block,  // try_… only
  closed,
};

class alignas(16) chan_core {
 public:
  // Called with the extra bytes before the core is freed, outside all locks.
  using stop_function = void (*)(void* extra) noexcept;

  // A channel with one reference. Behind it lie `extra_bytes` for its creator (extra()), zeroed
  // and aligned as by malloc.
  // Errors: std::invalid_argument for a negative capacity; std::length_error if the buffer is
  // larger than any object can be; std::bad_alloc.
  URGE_API static chan_core* create(std::ptrdiff_t capacity, std::size_t element_bytes,
                                    std::size_t extra_bytes = 0, stop_function stop = nullptr);

  void retain() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  // True for the last reference: the caller then takes out what is left and calls destroy().
  // acq_rel: the last one sees what the others did.
  [[nodiscard]] bool release() noexcept {
    return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  URGE_API void destroy() noexcept;

  // Copies the element's bytes from or to `element`, blocking while it must.
  // After anything but ok, send has not used the element; after anything but ok, recv has not
  // written it.
  URGE_API chan_status send(const void* element) noexcept;
  URGE_API chan_status recv(void* element) noexcept;
  URGE_API chan_status try_send(const void* element) noexcept;
  URGE_API chan_status try_recv(void* element) noexcept;
  // False if it was closed before.
  URGE_API bool close() noexcept;

  // Snapshots, without the lock.
  [[nodiscard]] std::size_t size() const noexcept { return count_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  // Acquire: pairs with close().
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }
  // Whether a send would have to wait just now.
  [[nodiscard]] bool full() const noexcept {
    return capacity_ == 0 ? receivers_.first.load(std::memory_order_relaxed) == nullptr
                          : size() == capacity_;
  }
  // Whether there is nothing to receive just now.
  [[nodiscard]] bool empty() const noexcept {
    return capacity_ == 0 ? senders_.first.load(std::memory_order_relaxed) == nullptr : size() == 0;
  }
  [[nodiscard]] void* extra() noexcept { return this + 1; }

 private:
  struct waiter_queue {                 // of sched::Waiter, first in first out
    std::atomic<void*> first{nullptr};  // [lock_; read without by full() and empty()]
    void* last = nullptr;               // [lock_]
  };
  friend struct chan_ops;

  chan_core() = default;
  ~chan_core() = default;

  std::atomic<std::uint32_t> lock_{0};  // base::WordLock
  std::uint32_t element_bytes_ = 0;     // [c]
  std::atomic<std::size_t> count_{0};   // [lock_] elements in the buffer
  std::size_t capacity_ = 0;            // [c] in elements
  std::size_t send_index_ = 0;          // [lock_] where the next element goes
  std::size_t recv_index_ = 0;          // [lock_] where the next one comes from
  unsigned char* buffer_ = nullptr;     // [c] capacity_ elements
  waiter_queue receivers_;
  waiter_queue senders_;
  std::atomic<bool> closed_{false};   // [lock_; read without]
  std::atomic<std::size_t> refs_{1};  // [a] handles
  stop_function stop_ = nullptr;      // [c]
};

// Blocks the caller for ever, as an operation on a nil channel does.
[[noreturn]] URGE_API void block_on_nil_send() noexcept;
[[noreturn]] URGE_API void block_on_nil_recv() noexcept;

}  // namespace urge::detail

#endif  // URGE_DETAIL_CHAN_CORE_H_

// Channels: typed queues between goroutines, and plain threads, with Go's meaning.
//
// A chan<T> is a handle; copies are the same channel. Each side waits in the order it came. An
// element that comes while somebody waits for it goes to him directly.
//
// No operation of T runs under a lock of the runtime. Trivially copyable elements of up to
// detail::max_inline_element bytes travel as bytes; for all others the sender moves the element
// into a box on the heap before it enters the channel, and the receiver moves it out after the
// box has left: a constructor that throws does so on its own side, and the channel doesn't notice.

#ifndef URGE_CHAN_H_
#define URGE_CHAN_H_

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <urge/detail/chan_core.h>
#include <urge/detail/export.h>

namespace urge {

// A send on a closed channel, or a second close.
class URGE_API closed_channel : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

template <class T>
class chan;

namespace detail {

// The core of a handle and back, for select and for channels that the runtime fills.
struct chan_access {
  template <class T>
  static chan<T> adopt(chan_core* core) noexcept {
    return chan<T>(typename chan<T>::adopted{core});
  }
  template <class T>
  static chan_core* core(const chan<T>& c) noexcept {
    return c.core_;
  }
};

// Larger elements are boxed: the lock is held while an element is copied.
inline constexpr std::size_t max_inline_element = 128;

template <class T>
inline constexpr bool is_inline_element = std::is_trivially_copyable_v<T> &&
                                          sizeof(T) <= max_inline_element;

[[noreturn]] inline void throw_send_on_closed() {
  throw closed_channel("urge::chan: send on closed channel");
}

// Room for a T that the channel fills with bytes.
template <class T>
union chan_slot {
  chan_slot() {}
  ~chan_slot() {}
  T value;
};

}  // namespace detail

template <class T>
class chan {
  static_assert(std::is_object_v<T> && !std::is_array_v<T> &&
                    std::is_same_v<T, std::remove_cv_t<T>>,
                "urge::chan: the element must be an object type without const or volatile");
  static_assert(std::is_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "urge::chan: the element must be movable");

 public:
  using value_type = T;
  class iterator;

  // Unbuffered: a send waits until the element has been received.
  chan() : chan(0) {}
  // With room for `capacity` elements that nobody waits for.
  // Errors: std::invalid_argument if negative, std::length_error if absurd, std::bad_alloc.
  explicit chan(std::ptrdiff_t capacity)
      : core_(detail::chan_core::create(capacity, is_inline ? sizeof(T) : sizeof(T*))) {}

  // A channel that is never ready: send and recv block for ever, try_… find nothing. A handle
  // that was moved from is nil too.
  [[nodiscard]] static chan nil() noexcept { return chan(adopted{nullptr}); }

  chan(const chan& other) noexcept : core_(other.core_) {
    if (core_ != nullptr) core_->retain();
  }
  chan(chan&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  chan& operator=(chan other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  // Elements that nobody received are destroyed with the last handle.
  ~chan() {
    if (core_ != nullptr && core_->release()) {
      if constexpr (!is_inline) {
        T* box = nullptr;
        while (core_->try_recv(&box) == detail::chan_status::ok) delete box;
      }
      core_->destroy();
    }
  }

  // Gives the element to a receiver or the buffer, waiting while there is neither.
  // Errors: closed_channel if the channel is closed, before or while it waits; whatever copying
  // or moving T throws, and std::bad_alloc for a boxed T, in which case nothing was sent.
  // Go: c <- v.
  void send(const T& value) const { send_from(value); }
  void send(T&& value) const { send_from(std::move(value)); }

  // Takes the next element, waiting while there is none; nullopt: closed and drained.
  // Errors: whatever moving a T throws; the element is lost then. Go: v, ok := <-c.
  [[nodiscard]] std::optional<T> recv() const {
    if (core_ == nullptr) detail::block_on_nil_recv();
    return receive_by(&detail::chan_core::recv);
  }

  // As send, if that would not wait; else returns false and leaves the value as it is. (For a
  // T that can't be copied and whose move throws, should that happen as the value is put back
  // after a lost race, the value is lost.)
  // Errors: as send.
  [[nodiscard]] bool try_send(const T& value) const { return try_send_from(value); }
  [[nodiscard]] bool try_send(T&& value) const { return try_send_from(std::move(value)); }

  // As recv, if that would not wait; else nullopt, in which case drained() tells a closed
  // channel from an empty one.
  [[nodiscard]] std::optional<T> try_recv() const {
    if (core_ == nullptr) return std::nullopt;
    return receive_by(&detail::chan_core::try_recv);
  }

  // No send from now on; receivers get what is in the buffer, then nullopt.
  // Errors: closed_channel if closed already; std::logic_error for a nil channel.
  void close() const {
    if (core_ == nullptr) throw std::logic_error("urge::chan: close of nil channel");
    if (!core_->close()) throw closed_channel("urge::chan: close of closed channel");
  }

  // Whether close() has been called.
  [[nodiscard]] bool closed() const noexcept { return core_ != nullptr && core_->closed(); }
  // Closed, and nothing left: recv() returns nullopt at once, now and for ever.
  [[nodiscard]] bool drained() const noexcept { return closed() && core_->size() == 0; }

  // Elements in the buffer, and its room. Go: len(c), cap(c).
  [[nodiscard]] std::size_t size() const noexcept { return core_ == nullptr ? 0 : core_->size(); }
  [[nodiscard]] std::size_t capacity() const noexcept {
    return core_ == nullptr ? 0 : core_->capacity();
  }

  // for (T& v : c) receives until the channel is closed and drained. Go: for v := range c.
  [[nodiscard]] iterator begin() const { return iterator(*this); }
  [[nodiscard]] iterator end() const noexcept { return iterator(); }

  // Whether both are the same channel.
  friend bool operator==(const chan& a, const chan& b) noexcept { return a.core_ == b.core_; }

 private:
  friend struct detail::chan_access;
  static constexpr bool is_inline = detail::is_inline_element<T>;

  // A type of its own, so that chan(0) has one meaning.
  struct adopted {
    detail::chan_core* core;
  };
  explicit chan(adopted from) noexcept : core_(from.core) {}

  template <class U>
  void send_from(U&& value) const {
    if (core_ == nullptr) detail::block_on_nil_send();
    if constexpr (is_inline) {
      if (core_->send(std::addressof(value)) != detail::chan_status::ok) {
        detail::throw_send_on_closed();
      }
    } else {
      if (core_->closed()) detail::throw_send_on_closed();
      auto box = std::make_unique<T>(std::forward<U>(value));
      T* const element = box.get();
      if (core_->send(&element) != detail::chan_status::ok) detail::throw_send_on_closed();
      static_cast<void>(box.release());  // it is the receiver's
    }
  }

  template <class U>
  bool try_send_from(U&& value) const {
    if (core_ == nullptr) return false;
    if constexpr (is_inline) {
      return accepted(core_->try_send(std::addressof(value)));
    } else {
      if (core_->closed()) detail::throw_send_on_closed();
      if (core_->full()) return false;
      constexpr bool can_move_back =
          std::is_rvalue_reference_v<U&&> && std::is_nothrow_move_constructible_v<T>;
      if constexpr (can_move_back || !std::is_copy_constructible_v<T>) {
        auto box = std::make_unique<T>(std::move(value));
        T* const element = box.get();
        const detail::chan_status status = core_->try_send(&element);
        if (status == detail::chan_status::ok) {
          static_cast<void>(box.release());
        } else {
          put_back(value, *box);
        }
        return accepted(status);
      } else {
        auto box = std::make_unique<T>(std::as_const(value));
        T* const element = box.get();
        const bool sent = accepted(core_->try_send(&element));
        if (sent) static_cast<void>(box.release());
        return sent;
      }
    }
  }

  static void put_back(T& value, T& from) {
    if constexpr (std::is_move_assignable_v<T>) {
      value = std::move(from);
    } else {
      std::destroy_at(std::addressof(value));
      std::construct_at(std::addressof(value), std::move(from));
    }
  }

  static bool accepted(detail::chan_status status) {
    if (status == detail::chan_status::closed) detail::throw_send_on_closed();
    return status == detail::chan_status::ok;
  }

  std::optional<T> receive_by(
      detail::chan_status (detail::chan_core::*take)(void*) noexcept) const {
    if constexpr (is_inline) {
      detail::chan_slot<T> slot;
      if ((core_->*take)(std::addressof(slot.value)) != detail::chan_status::ok) {
        return std::nullopt;
      }
      return std::optional<T>(std::move(slot.value));
    } else {
      T* element = nullptr;
      if ((core_->*take)(&element) != detail::chan_status::ok) return std::nullopt;
      const std::unique_ptr<T> box(element);
      return std::optional<T>(std::move(*box));
    }
  }

  detail::chan_core* core_;  // null: nil
};

// An input iterator: the element it stands on has left the channel and is the iterator's.
template <class T>
class chan<T>::iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = T;
  using difference_type = std::ptrdiff_t;
  using pointer = T*;
  using reference = T&;

  iterator() noexcept : from_(chan::nil()) {}

  T& operator*() const noexcept { return *element_; }
  T* operator->() const noexcept { return std::addressof(*element_); }
  iterator& operator++() {
    element_.reset();
    receive();
    return *this;
  }
  void operator++(int) { ++*this; }
  // At the end or not: no two other positions can be told apart.
  friend bool operator==(const iterator& a, const iterator& b) noexcept {
    return a.element_.has_value() == b.element_.has_value();
  }

 private:
  friend class chan;
  explicit iterator(const chan& from) : from_(from) { receive(); }

  void receive() {
    if (std::optional<T> next = from_.recv()) element_.emplace(std::move(*next));
  }

  chan from_;
  mutable std::optional<T> element_;  // nullopt: at the end
};

}  // namespace urge

#endif  // URGE_CHAN_H_

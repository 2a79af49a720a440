// async and future: a goroutine's result, to be fetched from a goroutine or a plain thread.
//
//  1. async() makes one shared state (one allocation) and starts a goroutine that owns half of it.
//  2. The goroutine leaves its value or its exception there, sets the state's event and lets go.
//  3. get() waits for the event, takes the result out and lets go. Who lets go last deletes.
//
// Unlike std::async's, a future that is dropped does not wait: the goroutine goes on, and its
// result, or its exception, is lost when it is done.

#ifndef URGE_FUTURE_H_
#define URGE_FUTURE_H_

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include <urge/detail/clock.h>
#include <urge/detail/event.h>
#include <urge/detail/spawn.h>

namespace urge {

template <class R>
class future;

namespace detail {

// Where a result waits. Written by the goroutine before `done` is set, read by the future after.
template <class R>
class future_result {
 public:
  template <class F>
  void set_from(F&& f) {
    value_.emplace(construct<F>{std::forward<F>(f)});
  }
  R take() { return std::move(value_->value); }

 private:
  // Builds the value in place from the call, so that R need not be movable until it is taken.
  template <class F>
  struct construct {
    F&& f;
  };
  struct holder {
    template <class F>
    explicit holder(construct<F> c) : value(std::invoke(std::forward<F>(c.f))) {}
    R value;
  };
  std::optional<holder> value_;
};

template <class R>
class future_result<R&> {
 public:
  template <class F>
  void set_from(F&& f) {
    R& r = std::invoke(std::forward<F>(f));
    value_ = std::addressof(r);
  }
  R& take() { return *value_; }

 private:
  R* value_ = nullptr;
};

template <>
class future_result<void> {
 public:
  template <class F>
  void set_from(F&& f) {
    static_cast<void>(std::invoke(std::forward<F>(f)));
  }
  void take() {}
};

template <class R>
struct future_state {
  event done;
  std::atomic<bool> half_dropped{false};
  std::exception_ptr error;  // null: there is a result
  future_result<R> result;

  // Called once by the goroutine's side and once by the future's.
  // acq_rel: the second sees all that the first did with the state before it deletes it.
  void drop() noexcept {
    if (half_dropped.exchange(true, std::memory_order_acq_rel)) delete this;
  }
};

template <class State>
struct drop_state {
  void operator()(State* state) const noexcept { state->drop(); }
};
template <class R>
using future_half = std::unique_ptr<future_state<R>, drop_state<future_state<R>>>;

// An rvalue reference would refer into the goroutine's stack: its referent is moved out.
template <class R>
using future_value_t =
    std::conditional_t<std::is_rvalue_reference_v<R>, std::remove_reference_t<R>, R>;

// The body of async's goroutine.
template <class R, class Call>
struct async_call {
  future_half<R> state;
  std::optional<Call> call;
  void operator()() && {
    try {
      state->result.set_from(*std::move(call));
    } catch (...) {
      state->error = std::current_exception();
    }
    // The closure is destroyed before anybody hears of the result, so that what it refers to may
    // go then. Where it is: it may be larger than the stack.
    call.reset();
    state->done.set();
  }
};
template <class R, class Call>
const void* entry_of(const async_call<R, Call>& async) {
  return entry_of(*async.call);
}

}  // namespace detail

// The only one who will take the result of an async(). Not for use by several threads or
// goroutines at once. R may be void, a reference, or movable only.
template <class R>
class future {
 public:
  future() noexcept = default;  // without a result: valid() is false
  future(future&&) noexcept = default;
  future& operator=(future&&) noexcept = default;

  // True until get() or a move from it.
  [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }

  // Waits, then returns the result or throws the exception that left the goroutine's function;
  // valid() is false afterwards.
  // Errors of this and all below: std::future_error (no_state) unless valid().
  R get() {
    wait();
    const detail::future_half<R> state = std::move(state_);
    if (state->error) std::rethrow_exception(std::exchange(state->error, nullptr));
    return state->result.take();
  }

  void wait() const { checked().done.wait(); }

  template <class Rep, class Period>
  std::future_status wait_for(const std::chrono::duration<Rep, Period>& d) const {
    detail::future_state<R>& state = checked();
    if (state.done.is_set()) return std::future_status::ready;
    return status(state.done.wait_until_ns(detail::deadline_after(d)));
  }
  template <class Clock, class Duration>
  std::future_status wait_until(const std::chrono::time_point<Clock, Duration>& t) const {
    detail::future_state<R>& state = checked();
    do {
      if (state.done.wait_until_ns(detail::deadline_at(t))) return std::future_status::ready;
    } while (Clock::now() < t);  // the clock was set back
    return std::future_status::timeout;
  }

 private:
  template <class F, class... A>
  friend auto async(F&& f, A&&... args);

  explicit future(detail::future_half<R> state) noexcept : state_(std::move(state)) {}

  detail::future_state<R>& checked() const {
    if (state_ == nullptr) throw std::future_error(std::future_errc::no_state);
    return *state_;
  }
  static std::future_status status(bool ready) {
    return ready ? std::future_status::ready : std::future_status::timeout;
  }

  detail::future_half<R> state_;
};

// Runs f(args...) as a goroutine and returns the future of its result. f and args are
// decay-copied, as by std::thread. Callable from goroutines and from any thread; starts the
// runtime if it isn't running.
// Errors: as go().
template <class F, class... A>
[[nodiscard, gnu::always_inline]] inline auto async(F&& f, A&&... args) {
  detail::require_callable<std::decay_t<F>>(f, "urge::async: null function");
  auto call = detail::bind_call(std::forward<F>(f), std::forward<A>(args)...);
  using Call = decltype(call);
  using R = detail::future_value_t<std::invoke_result_t<Call>>;
  auto* state = new detail::future_state<R>;
  detail::future_half<R> mine(state);
  detail::spawn(nullptr,
                detail::async_call<R, Call>{detail::future_half<R>(state), std::move(call)});
  return future<R>(std::move(mine));
}

}  // namespace urge

#endif  // URGE_FUTURE_H_

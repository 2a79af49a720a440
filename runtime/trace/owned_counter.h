// OwnedCounter: a 64-bit counter with one writer and any number of readers.
//
// The writer is a thread and the signal handlers that run on it. An addition is a single
// read-modify-write instruction without a lock prefix: a handler on the same thread comes before
// or after it, never in between, so no count is lost, at the price of a plain add (about 1 ns).
// A relaxed load and store, as compilers emit them, would lose what a handler adds between the two.
// Several threads may take turns as writer when something else orders them, as Ps are handed on.

#ifndef URGE_RUNTIME_TRACE_OWNED_COUNTER_H_
#define URGE_RUNTIME_TRACE_OWNED_COUNTER_H_

#include <atomic>
#include <cstdint>

namespace urge::trace {

class OwnedCounter {
 public:
  // Runs on: the owner. Signal-safe: yes.
  void Add(std::uint64_t n) { asm("addq %1, %0" : "+m"(value_) : "re"(n) : "cc"); }
  // Raises the value to at least n. A handler's larger value that comes in between may be lost.
  void RaiseTo(std::uint64_t n) {
    // Relaxed: statistics order nothing.
    if (n > value_.load(std::memory_order_relaxed)) value_.store(n, std::memory_order_relaxed);
  }

  // The same for a counter without an owner.  Runs on: any thread. Signal-safe: yes.
  void AddShared(std::uint64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  void RaiseSharedTo(std::uint64_t n) {
    std::uint64_t seen = value_.load(std::memory_order_relaxed);
    while (n > seen && !value_.compare_exchange_weak(seen, n, std::memory_order_relaxed)) {
    }
  }

  // Runs on: any thread.
  std::uint64_t Read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
  static_assert(sizeof(std::atomic<std::uint64_t>) == 8);
};

}  // namespace urge::trace

#endif  // URGE_RUNTIME_TRACE_OWNED_COUNTER_H_

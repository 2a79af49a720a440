// Labels and ancestors of goroutines: immutable, shared by reference count.

#ifndef URGE_RUNTIME_SCHED_LABEL_H_
#define URGE_RUNTIME_SCHED_LABEL_H_

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include <urge/go.h>

namespace urge::sched {

// A reference to an immutable, counted T; null costs nothing. Copies may be made on any thread.
template <class T>
class CountedRef {
 public:
  CountedRef() = default;
  static CountedRef Make(T value) {
    CountedRef ref;
    ref.block_ = new Block{std::move(value)};
    return ref;
  }
  CountedRef(const CountedRef& other) : block_(other.block_) {
    if (block_ != nullptr) block_->count.fetch_add(1, std::memory_order_relaxed);
  }
  CountedRef(CountedRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  CountedRef& operator=(CountedRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~CountedRef() {
    // acq_rel: the last owner must see every other owner's reads done before it deletes.
    if (block_ != nullptr && block_->count.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete block_;
    }
  }
  explicit operator bool() const { return block_ != nullptr; }
  const T& operator*() const { return block_->value; }
  const T* operator->() const { return &block_->value; }

 private:
  struct Block {
    T value;
    std::atomic<std::uint32_t> count{1};
  };
  Block* block_ = nullptr;
};

using LabelRef = CountedRef<label_list>;

// How a goroutine came to be: its parent's stack when it was started, and the parent's own
// ancestors. Go: g.ancestors.
struct Ancestor {
  std::uint64_t goid;
  std::uintptr_t go_pc;
  std::vector<std::uintptr_t> pcs;
};
using AncestorRef = CountedRef<std::vector<Ancestor>>;

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_LABEL_H_

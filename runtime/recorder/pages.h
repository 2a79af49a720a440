// Memory straight from the system, for code that may run in a dying process: zeroed, and committed
// as it is touched.

#ifndef URGE_RUNTIME_RECORDER_PAGES_H_
#define URGE_RUNTIME_RECORDER_PAGES_H_

#include <sys/mman.h>

#include <cstddef>
#include <utility>

namespace urge::recorder {

// An array of trivial objects. Empty when there is no memory. Signal-safe: yes.
template <class T>
class Pages {
 public:
  Pages() = default;
  explicit Pages(std::size_t count) {
    if (count == 0) return;
    void* p = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return;
    data_ = static_cast<T*>(p);
    size_ = count;
  }
  Pages(Pages&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Pages() {
    if (data_ != nullptr) munmap(data_, size_ * sizeof(T));
  }

  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* data() { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace urge::recorder

#endif  // URGE_RUNTIME_RECORDER_PAGES_H_

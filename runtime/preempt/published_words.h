// An array of words that one thread at a time replaces as a whole, and that signal handlers and g0
// read without a lock.
//
// Two buffers alternate. The writer fills the one that is not published and then publishes it, so
// an array in use is never written, unless a reader was stopped during its search for so long that
// two publications passed. That reader is told by the buffer's sequence number, odd while it is
// being written, and begins anew.
//
// Why no reader touches freed memory: buffers are never freed. A buffer that is too small is
// replaced by one at least twice as large, so all that were retired are together smaller than the
// one in use: the cost is bounded by a factor of two, however often arrays are published.
//
// Why a reader sees one whole array: its loads lie between two loads of the buffer's sequence that
// yielded the same even number (a seqlock; all words are atomics). Readers write nothing, so a
// search costs no shared cache line; they never wait, since a changed sequence means that a newer
// array is already published.
//
// Rejected: hazard pointers or reader counts (a shared write in every signal), and freeing after a
// grace period (threads that are not the runtime's may run the handler too).

#ifndef URGE_RUNTIME_PREEMPT_PUBLISHED_WORDS_H_
#define URGE_RUNTIME_PREEMPT_PUBLISHED_WORDS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace urge::preempt {

class PublishedWords {
 public:
  // What a reader is shown: may change under its eyes, in which case it is called again.
  class View {
   public:
    size_t size() const { return size_; }
    uint64_t operator[](size_t i) const { return entries_[i].load(std::memory_order_relaxed); }

   private:
    friend class PublishedWords;
    View(const std::atomic<uint64_t>* entries, size_t size) : entries_(entries), size_(size) {}

    const std::atomic<uint64_t>* entries_;
    size_t size_;
  };

  // Calls reader(View) until it has seen one whole array; at most a few times. False if nothing was
  // published, or if publications overtook every attempt: what the reader made of it is void.
  // Signal-safe: yes.
  template <class Reader>
  bool Read(Reader&& reader) const {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      // Acquire: pairs with Publish; the buffer's constant fields are seen.
      const Buffer* buffer = current_.load(std::memory_order_acquire);
      if (buffer == nullptr) return false;
      // Acquire: pairs with Publish's release; the words below are at least as new.
      const uint32_t sequence = buffer->sequence.load(std::memory_order_acquire);
      if ((sequence & 1) != 0) continue;
      reader(View(buffer->entries, buffer->size.load(std::memory_order_relaxed)));
      // Keeps the loads above before the one below; pairs with the fence in Publish.
      std::atomic_thread_fence(std::memory_order_acquire);
      if (buffer->sequence.load(std::memory_order_relaxed) == sequence) return true;
    }
    return false;
  }

  // Requires: one caller at a time.
  void Publish(std::span<const uint64_t> words);

 private:
  static constexpr int kAttempts = 4;

  struct Buffer {
    explicit Buffer(size_t words) : capacity(words), entries(new std::atomic<uint64_t>[words]) {}

    const size_t capacity;                 // [c]
    std::atomic<uint64_t>* const entries;  // [c] never freed; the words are [a]
    std::atomic<uint32_t> sequence{0};     // [a]
    std::atomic<size_t> size{0};           // [a]
    const Buffer* replaced = nullptr;      // [publisher] never freed, so nobody shall call it lost
  };

  std::atomic<const Buffer*> current_{nullptr};  // [a] written by the publisher only
  Buffer* spare_ = nullptr;                      // [publisher]
};

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_PUBLISHED_WORDS_H_

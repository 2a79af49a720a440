#include "runtime/preempt/published_words.h"

#include <algorithm>

namespace urge::preempt {
namespace {

constexpr size_t kWordsMin = 256;

}  // namespace

void PublishedWords::Publish(std::span<const uint64_t> words) {
  Buffer* buffer = spare_;
  if (buffer == nullptr || buffer->capacity < words.size()) {
    // Twice as large as the one it replaces, and with room to spare; see the header.
    const size_t old = buffer == nullptr ? kWordsMin : buffer->capacity * 2;
    buffer = new Buffer(std::max(old, words.size() * 2));
    buffer->replaced = spare_;
  }
  const uint32_t sequence = buffer->sequence.load(std::memory_order_relaxed);
  buffer->sequence.store(sequence + 1, std::memory_order_relaxed);
  // Keeps the odd sequence before the words; pairs with the acquire fence in Read.
  std::atomic_thread_fence(std::memory_order_release);
  buffer->size.store(words.size(), std::memory_order_relaxed);
  for (size_t i = 0; i < words.size(); ++i) {
    buffer->entries[i].store(words[i], std::memory_order_relaxed);
  }
  buffer->sequence.store(sequence + 2, std::memory_order_release);
  // Release: pairs with Read; publishes the array. The exchange hands back the other buffer.
  spare_ = const_cast<Buffer*>(current_.exchange(buffer, std::memory_order_acq_rel));
}

}  // namespace urge::preempt

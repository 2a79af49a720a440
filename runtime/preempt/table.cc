// Builds, publishes and searches the table of text ranges; see table.h.

#include "runtime/preempt/table.h"

#include <algorithm>
#include <map>

namespace urge::preempt {
namespace {

constexpr int kFindAttempts = 4;
constexpr size_t kEntriesMin = 256;

}  // namespace

std::vector<TextTable::Boundary> TextTable::Flatten(const std::vector<KindRange>& ranges) {
  std::map<uintptr_t, TextKind> starts{{0, TextKind::kUnknown}};
  for (const auto& [range, kind] : ranges) {
    const TextKind after = std::prev(starts.upper_bound(range.end))->second;
    starts.erase(starts.lower_bound(range.begin), starts.upper_bound(range.end));
    starts[range.begin] = kind;
    starts[range.end] = after;
  }
  std::vector<Boundary> boundaries;
  for (const auto& [begin, kind] : starts) {
    if (boundaries.empty() || boundaries.back().kind != kind) boundaries.push_back({begin, kind});
  }
  return boundaries;
}

bool TextTable::Search(const Buffer& buffer, uintptr_t pc, TextKind* out) {
  // Acquire: pairs with Publish's release; the words below are at least as new.
  const uint32_t sequence = buffer.sequence.load(std::memory_order_acquire);
  if ((sequence & 1) != 0) return false;
  // The last boundary at or below pc; the first is 0, so there is one.
  size_t below = 0;
  size_t above = buffer.size.load(std::memory_order_relaxed);
  uint64_t found = 0;
  const uint64_t wanted = uint64_t{pc} << kKindBits | ((uint64_t{1} << kKindBits) - 1);
  while (below < above) {
    const size_t middle = below + (above - below) / 2;
    const uint64_t entry = buffer.entries[middle].load(std::memory_order_relaxed);
    if (entry <= wanted) {
      found = entry;
      below = middle + 1;
    } else {
      above = middle;
    }
  }
  // Keeps the loads above before the one below; pairs with the fence in Publish.
  std::atomic_thread_fence(std::memory_order_acquire);
  if (buffer.sequence.load(std::memory_order_relaxed) != sequence) return false;
  *out = static_cast<TextKind>(found & ((uint64_t{1} << kKindBits) - 1));
  return true;
}

TextKind TextTable::Find(uintptr_t pc) const {
  constexpr int kUserAddressBits = 57;
  if (pc >> kUserAddressBits != 0) return TextKind::kUnknown;  // the kernel's half; vsyscall
  for (int attempt = 0; attempt < kFindAttempts; ++attempt) {
    // Acquire: pairs with Publish; the buffer's constant fields are seen.
    const Buffer* buffer = current_.load(std::memory_order_acquire);
    TextKind kind;
    if (buffer == nullptr) break;
    if (Search(*buffer, pc, &kind)) return kind;
  }
  return TextKind::kUnknown;
}

void TextTable::Publish(const std::vector<Boundary>& boundaries) {
  Buffer* buffer = spare_;
  if (buffer == nullptr || buffer->capacity < boundaries.size()) {
    // Twice as large as the one it replaces, and with room to spare; see table.h.
    const size_t old = buffer == nullptr ? kEntriesMin : buffer->capacity * 2;
    buffer = new Buffer(std::max(old, boundaries.size() * 2));
  }
  const uint32_t sequence = buffer->sequence.load(std::memory_order_relaxed);
  buffer->sequence.store(sequence + 1, std::memory_order_relaxed);
  // Keeps the odd sequence before the words; pairs with the acquire fence in Search.
  std::atomic_thread_fence(std::memory_order_release);
  buffer->size.store(boundaries.size(), std::memory_order_relaxed);
  for (size_t i = 0; i < boundaries.size(); ++i) {
    buffer->entries[i].store(Pack(boundaries[i]), std::memory_order_relaxed);
  }
  buffer->sequence.store(sequence + 2, std::memory_order_release);
  // Release: pairs with Find; publishes the table. The exchange hands back the other buffer.
  spare_ = const_cast<Buffer*>(current_.exchange(buffer, std::memory_order_acq_rel));
}

}  // namespace urge::preempt

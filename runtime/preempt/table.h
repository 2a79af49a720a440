// The sorted table of text ranges that the signal handler searches, and how it is published.
//
// Two buffers alternate. The writer fills the one that is not published and then publishes it, so a
// table in use is never written, unless a reader was stopped during its search for so long that two
// rebuilds passed. That reader is told by the buffer's sequence number, odd while it is being
// written, and begins anew.
//
// Why no reader touches freed memory: buffers are never freed. A buffer that is too small is
// replaced by one at least twice as large, so all that were retired are together smaller than the
// one in use: the cost is bounded by a factor of two, however often modules are loaded.
//
// Why a reader sees one whole table: its loads lie between two loads of the buffer's sequence that
// yielded the same even number (a seqlock; all words are atomics). Readers write nothing, so a
// search costs no shared cache line; they never wait, since a changed sequence means that a newer
// table is already published.
//
// Rejected: hazard pointers or reader counts (a shared write in every signal), and freeing after a
// grace period (threads that are not the runtime's may run the handler too).

#ifndef URGE_RUNTIME_PREEMPT_TABLE_H_
#define URGE_RUNTIME_PREEMPT_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/preempt/module_text.h"

namespace urge::preempt {

// Sorted, disjoint ranges that cover the address space: each begins where the one before ends.
class TextTable {
 public:
  struct Boundary {
    uintptr_t begin;
    TextKind kind;

    bool operator==(const Boundary&) const = default;
  };

  // Flattens ranges, of which later ones override earlier ones.
  static std::vector<Boundary> Flatten(const std::vector<KindRange>& ranges);

  // Signal-safe: yes. kUnknown if nothing was published, or if rebuilds overtake every attempt.
  TextKind Find(uintptr_t pc) const;

  // Requires: one caller at a time; `boundaries` sorted.
  void Publish(const std::vector<Boundary>& boundaries);

 private:
  // A boundary in one word: user addresses have at most 57 bits.
  static constexpr int kKindBits = 4;
  static uint64_t Pack(const Boundary& boundary) {
    return uint64_t{boundary.begin} << kKindBits | static_cast<uint64_t>(boundary.kind);
  }

  struct Buffer {
    explicit Buffer(size_t words) : capacity(words), entries(new std::atomic<uint64_t>[words]) {}

    const size_t capacity;                 // [c]
    std::atomic<uint64_t>* const entries;  // [c] never freed; the words are [a]
    std::atomic<uint32_t> sequence{0};     // [a]
    std::atomic<size_t> size{0};           // [a]
  };

  // False if the buffer was rewritten meanwhile.
  static bool Search(const Buffer& buffer, uintptr_t pc, TextKind* out);

  std::atomic<const Buffer*> current_{nullptr};  // [a] written by the publisher only
  Buffer* spare_ = nullptr;                      // [publisher]
};

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_TABLE_H_

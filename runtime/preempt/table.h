// The sorted table of text ranges that the signal handler searches: one published array of packed
// boundaries (published_words.h says why a reader sees a whole table and touches no freed memory).

#ifndef URGE_RUNTIME_PREEMPT_TABLE_H_
#define URGE_RUNTIME_PREEMPT_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/preempt/module_text.h"
#include "runtime/preempt/published_words.h"

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
  static constexpr uint64_t kKindMask = (uint64_t{1} << kKindBits) - 1;

  PublishedWords words_;
};

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_TABLE_H_

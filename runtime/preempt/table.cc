// Builds, publishes and searches the table of text ranges; see table.h.

#include "runtime/preempt/table.h"

#include <iterator>
#include <map>

namespace urge::preempt {

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

TextKind TextTable::Find(uintptr_t pc) const {
  constexpr int kUserAddressBits = 57;
  if (pc >> kUserAddressBits != 0) return TextKind::kUnknown;  // the kernel's half; vsyscall
  const uint64_t wanted = uint64_t{pc} << kKindBits | kKindMask;
  uint64_t found = 0;
  const bool whole = words_.Read([&](PublishedWords::View words) {
    // The last boundary at or below pc; the first is 0, so there is one.
    size_t below = 0;
    size_t above = words.size();
    while (below < above) {
      const size_t middle = below + (above - below) / 2;
      const uint64_t entry = words[middle];
      if (entry <= wanted) {
        found = entry;
        below = middle + 1;
      } else {
        above = middle;
      }
    }
  });
  return whole ? static_cast<TextKind>(found & kKindMask) : TextKind::kUnknown;
}

void TextTable::Publish(const std::vector<Boundary>& boundaries) {
  std::vector<uint64_t> words;
  words.reserve(boundaries.size());
  for (const Boundary& boundary : boundaries) {
    words.push_back(uint64_t{boundary.begin} << kKindBits | static_cast<uint64_t>(boundary.kind));
  }
  words_.Publish(words);
}

}  // namespace urge::preempt

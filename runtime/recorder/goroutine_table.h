// What a trace knows of each goroutine in it, by goid.
//
// Names and entry functions come from the events of goroutines that end, and from the Gs of those
// that live: so each that shows up has one, though its start was long before.

#ifndef URGE_RUNTIME_RECORDER_GOROUTINE_TABLE_H_
#define URGE_RUNTIME_RECORDER_GOROUTINE_TABLE_H_

#include <cstdint>
#include <string_view>

#include "runtime/recorder/pages.h"

namespace urge::recorder {

struct Goroutine {
  std::uint64_t goid = 0;  // 0: a free slot
  std::uint64_t entry_pc = 0;
  // The event, counted from 1, that made it runnable, until it runs; 0: not known.
  std::uint32_t readied_by = 0;
  std::uint32_t shown_on = 0;  // the P, counted from 1, on whose track it was seen last
  char name[32] = {};

  std::string_view Name() const;
};

// Open addressing. Signal-safe: yes.
class GoroutineTable {
 public:
  GoroutineTable() : slots_(kFirstCapacity) {}

  // The goroutine's entry, new if need be; null without memory.
  Goroutine* At(std::uint64_t goid);
  // Null if it isn't there.
  Goroutine* Find(std::uint64_t goid);
  // Takes over the names of living goroutines that are in the table. Those that end meanwhile may
  // be missed, and are found again among the events.
  void ReadLivingNames();

 private:
  static constexpr std::size_t kFirstCapacity = std::size_t{1} << 12;
  Goroutine& SlotOf(Pages<Goroutine>& slots, std::uint64_t goid);
  bool Grow();

  Pages<Goroutine> slots_;
  std::size_t used_ = 0;
};

}  // namespace urge::recorder

#endif  // URGE_RUNTIME_RECORDER_GOROUTINE_TABLE_H_

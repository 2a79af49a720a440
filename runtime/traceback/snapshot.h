// What a dump of all goroutines shows, gathered quickly and printed at leisure.
//
//  1. Add… copy each goroutine's header and walk its stack, while the world is stopped or the
//     process is dying: no lock, no allocation but mmap, nothing named.
//  2. Those that are alike (same state, frames and origin, none with ancestors) are a group and
//     share one Stack: of a million goroutines there are a few dozen.
//  3. Print, with the world running again, prints them by id. A group comes where its first
//     member does, with a header for each member (from kMaxHeaders on their ids only) above the one
//     traceback.
//
// A goroutine that runs on all the same, or is in a system call, is looked at through a signal
// (preempt/probe.h), or shown without a stack.
//
// Signal-safe: all of it, but for printing with Places::kLines.

#ifndef URGE_RUNTIME_TRACEBACK_SNAPSHOT_H_
#define URGE_RUNTIME_TRACEBACK_SNAPSHOT_H_

#include <cstddef>
#include <cstdint>

#include "runtime/sched/g.h"
#include "runtime/traceback/frames.h"
#include "runtime/traceback/traceback.h"

namespace urge::traceback {

inline constexpr int kMaxHeaders = 100;

class Snapshot {
 public:
  Snapshot() = default;
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  // The goroutine that runs on the calling thread, from a context of its own stack. It is printed
  // before all others.
  void AddRunning(sched::G* gp, const Context& context);
  // Every goroutine but `skip`. The runtime's own are left out below Level::kSystem.
  void AddAll(const sched::G* skip);

  bool empty() const { return running_ == nullptr && entries_ == nullptr; }
  // `progress` is called after each group.
  void Print(int fd, Places places, void (*progress)() = nullptr) const;

 private:
  struct Group;
  struct Entry;

  void* Allocate(std::size_t bytes);
  Entry* NewEntry(sched::G* gp, sched::GStatus status, bool settled);
  void Place(Entry* entry, const Stack& stack);
  void AddOne(sched::G* gp);
  void PrintGroup(base::RawWriter& out, const Entry* first, Places places) const;

  struct Chunk {
    Chunk* next;
    std::size_t bytes;
  };
  Chunk* chunks_ = nullptr;
  std::size_t used_ = 0;

  Entry* running_ = nullptr;
  Entry* entries_ = nullptr;  // newest first
  std::size_t count_ = 0;
  std::size_t left_out_ = 0;                   // for want of memory
  std::uint64_t patience_ns_ = 1'000'000'000;  // with goroutines that have to be signalled
  Group** table_ = nullptr;                    // open addressing
  std::size_t table_size_ = 0;
};

}  // namespace urge::traceback

#endif  // URGE_RUNTIME_TRACEBACK_SNAPSHOT_H_

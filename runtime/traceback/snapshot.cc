#include "runtime/traceback/snapshot.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "runtime/preempt/probe.h"
#include "runtime/sched/park.h"
#include "runtime/sched/sched.h"

namespace urge::traceback {

using base::RawWriter;
using sched::G;
using sched::GStatus;

namespace {

// How long one goroutine's thread may take to answer a signal, once the patience for all is used
// up: a thread may have to wait long for a CPU, or never answer.
constexpr std::uint64_t kProbeNs = 10'000'000;
constexpr std::size_t kChunkBytes = 1 << 20;

std::uint64_t Mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

bool IsShown(const G* gp, const G* skip) {
  if (gp == skip || (gp->system && GetLevel() < Level::kSystem)) return false;
  const GStatus status = gp->status.load(std::memory_order_acquire);
  return status != GStatus::kDead && status != GStatus::kIdle;
}

// The bytes of a Stack that mean something.
std::size_t UsedBytes(const Stack& stack) {
  return offsetof(Stack, pcs) + sizeof(stack.pcs[0]) * static_cast<std::size_t>(stack.count);
}

void CaptureUnsettled(const G* gp, GStatus status, std::uint64_t* patience_ns, Stack* stack) {
  stack->count = 0;
  stack->total = 0;
  preempt::StackProbe probe;
  const std::uint64_t begin_ns = base::NowNs();
  const bool seen = preempt::ProbeStack(gp, std::max(kProbeNs, *patience_ns), &probe);
  *patience_ns -= std::min(*patience_ns, base::NowNs() - begin_ns);
  if (seen) {
    stack->count = std::min(probe.frames, kMaxFrames);
    stack->total = static_cast<std::uint64_t>(stack->count);
    std::copy_n(probe.pcs, stack->count, stack->pcs);
    return;
  }
  stack->note = status == GStatus::kSyscall
                    ? "goroutine in a system call; stack unavailable"
                    : "goroutine running on other thread; stack unavailable";
}

}  // namespace

struct Snapshot::Group {
  std::uint64_t hash;
  const Entry* first;  // the member with the lowest id; set by Print
  Entry* members;      // by id, from Print on
  Stack stack;         // cut short behind `count` frames
};

struct Snapshot::Entry {
  Header header;
  Group* group;
  Entry* next;       // all entries
  Entry* next_like;  // of the group
};

Snapshot::~Snapshot() {
  for (Entry* entry = entries_; entry != nullptr; entry = entry->next) entry->~Entry();
  if (running_ != nullptr) running_->~Entry();
  while (chunks_ != nullptr) {
    Chunk* chunk = std::exchange(chunks_, chunks_->next);
    munmap(chunk, chunk->bytes);
  }
}

void* Snapshot::Allocate(std::size_t bytes) {
  bytes = (bytes + 15) & ~std::size_t{15};
  if (chunks_ == nullptr || chunks_->bytes - used_ < bytes) {
    const std::size_t size = std::max(kChunkBytes, bytes + 64);
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    chunks_ = new (memory) Chunk{chunks_, size};
    used_ = 64;
  }
  return reinterpret_cast<char*>(chunks_) + std::exchange(used_, used_ + bytes);
}

Snapshot::Entry* Snapshot::NewEntry(G* gp, GStatus status, bool settled) {
  void* memory = Allocate(sizeof(Entry));
  if (memory == nullptr) return nullptr;
  auto* entry = new (memory) Entry{};
  FillHeader(gp, status, settled, &entry->header);
  return entry;
}

// Finds or makes the group of those like this one.
void Snapshot::Place(Entry* entry, const Stack& stack) {
  const Header& header = entry->header;
  std::uint64_t hash = Mix(static_cast<std::uint64_t>(header.status) << 8 |
                               static_cast<std::uint64_t>(header.wait_reason),
                           header.go_pc);
  hash = Mix(hash, stack.total << 1 | static_cast<std::uint64_t>(header.locked));
  hash = Mix(hash, reinterpret_cast<std::uintptr_t>(stack.note.data()));
  for (int i = 0; i < stack.count; ++i) hash = Mix(hash, stack.pcs[i]);
  const auto is_alike = [&](const Group* group) {
    const Header& other = group->members->header;
    return group->hash == hash && other.status == header.status &&
           other.wait_reason == header.wait_reason && other.go_pc == header.go_pc &&
           other.locked == header.locked && !other.ancestors && !header.ancestors &&
           group->stack.total == stack.total && group->stack.count == stack.count &&
           group->stack.note.data() == stack.note.data() &&
           std::equal(stack.pcs, stack.pcs + stack.count, group->stack.pcs);
  };
  std::size_t at = table_size_ == 0 ? 0 : hash & (table_size_ - 1);
  for (; table_size_ != 0 && table_[at] != nullptr; at = (at + 1) & (table_size_ - 1)) {
    Group* group = table_[at];
    if (!is_alike(group)) continue;
    entry->group = group;
    entry->next_like = std::exchange(group->members, entry);
    return;
  }
  void* memory = Allocate(offsetof(Group, stack) + UsedBytes(stack));
  if (memory == nullptr) return;
  auto* group = static_cast<Group*>(memory);
  group->hash = hash;
  group->first = nullptr;
  group->members = entry;
  std::memcpy(static_cast<void*>(&group->stack), static_cast<const void*>(&stack),
              UsedBytes(stack));
  entry->group = group;
  if (table_size_ != 0) table_[at] = group;
}

void Snapshot::AddRunning(G* gp, const Context& context) {
  running_ = NewEntry(gp, gp->status.load(std::memory_order_relaxed), true);
  if (running_ == nullptr) return;
  Stack stack;
  CaptureStack(context, RangeOf(gp), &stack);
  Place(running_, stack);
}

void Snapshot::AddOne(G* gp) {
  const GStatus status = gp->status.load(std::memory_order_acquire);
  const bool settled = status != GStatus::kRunning && status != GStatus::kSyscall;
  Entry* entry = NewEntry(gp, status, settled);
  if (entry == nullptr) {
    ++left_out_;
    return;
  }
  Stack stack;
  if (settled) {
    CaptureParked(gp, &stack);
  } else {
    CaptureUnsettled(gp, status, &patience_ns_, &stack);
  }
  Place(entry, stack);
  entry->next = std::exchange(entries_, entry);
  ++count_;
}

void Snapshot::AddAll(const G* skip) {
  // The list is push-only, so from a given head it stays as it is.
  G* const head = sched::FirstGoroutine();
  std::size_t total = 0;
  for (G* gp = head; gp != nullptr; gp = gp->all_next) total += IsShown(gp, skip);
  // With room to spare: of a world that runs, the dead may come alive meanwhile.
  const std::size_t size = std::bit_ceil(2 * total + 64);
  if (void* memory = Allocate(size * sizeof(Group*))) {
    table_ = static_cast<Group**>(memory);
    table_size_ = size;
  }
  for (G* gp = head; gp != nullptr; gp = gp->all_next) {
    if (!IsShown(gp, skip)) continue;
    if (table_size_ != 0 && count_ + 64 > table_size_) break;
    AddOne(gp);
  }
}

void Snapshot::PrintGroup(RawWriter& out, const Entry* first, Places places) const {
  const Group* group = first->group;
  int headers = 0;
  std::uint64_t others = 0;
  for (const Entry* entry = first; entry != nullptr; entry = entry->next_like) {
    if (++headers <= kMaxHeaders) {
      PrintHeader(out, entry->header);
    } else {
      ++others;
    }
  }
  if (others != 0) {
    out << "... and " << others << " more like these: goroutines ";
    const Entry* entry = first;
    for (int i = 0; i < kMaxHeaders; ++i) entry = entry->next_like;
    for (std::string_view separator = ""; entry != nullptr; separator = ", ") {
      const std::uint64_t from = entry->header.goid;
      std::uint64_t to = from;
      while ((entry = entry->next_like) != nullptr && entry->header.goid == to + 1) ++to;
      out << separator << from;
      if (to != from) out << "-" << to;
    }
    out << "\n";
  }
  if (group != nullptr) PrintStack(out, group->stack, DetailForLevel(), places);
  PrintOrigin(out, first->header, places);
}

void Snapshot::Print(int fd, Places places, void (*progress)()) const {
  RawWriter out(fd);
  bool first = true;
  const auto print = [&](const Entry* entry) {
    if (!std::exchange(first, false)) out << "\n";
    PrintGroup(out, entry, places);
    out.Flush();
    if (progress != nullptr) progress();
  };
  if (running_ != nullptr) print(running_);
  const std::size_t bytes = count_ * sizeof(Entry*);
  void* memory = MAP_FAILED;
  if (count_ != 0) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  if (memory == MAP_FAILED) {
    // Unsorted, each by itself: better than nothing.
    for (Entry* entry = entries_; entry != nullptr; entry = entry->next) {
      entry->next_like = nullptr;
      print(entry);
    }
  } else {
    auto** const sorted = static_cast<Entry**>(memory);
    Entry** end = sorted;
    for (Entry* entry = entries_; entry != nullptr; entry = entry->next) *end++ = entry;
    // By heap sort, which needs no memory.
    const auto by_id = [](const Entry* a, const Entry* b) {
      return a->header.goid < b->header.goid;
    };
    std::make_heap(sorted, end, by_id);
    std::sort_heap(sorted, end, by_id);
    // From the last to the first, so that each group's list ends up by id.
    for (Entry** at = sorted; at != end; ++at) {
      if ((*at)->group != nullptr) (*at)->group->members = nullptr;
    }
    for (Entry** at = end; at != sorted;) {
      Entry* entry = *--at;
      entry->next_like = nullptr;
      if (entry->group == nullptr) continue;
      entry->next_like = std::exchange(entry->group->members, entry);
      entry->group->first = entry;
    }
    for (Entry** at = sorted; at != end; ++at) {
      if ((*at)->group == nullptr || (*at)->group->first == *at) print(*at);
    }
    munmap(memory, bytes);
  }
  if (left_out_ != 0)
    out << "\n... and " << left_out_ << " goroutines that there is no memory for\n";
}

}  // namespace urge::traceback

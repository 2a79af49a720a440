#include "runtime/recorder/goroutine_table.h"

#include <cstring>

#include "runtime/sched/sched.h"

namespace urge::recorder {

std::string_view Goroutine::Name() const { return {name, strnlen(name, sizeof(name))}; }

Goroutine& GoroutineTable::SlotOf(Pages<Goroutine>& slots, std::uint64_t goid) {
  std::size_t i = goid * 0x9e3779b97f4a7c15u >> 32;
  for (;; ++i) {
    Goroutine& slot = slots[i & (slots.size() - 1)];
    if (slot.goid == goid || slot.goid == 0) return slot;
  }
}

bool GoroutineTable::Grow() {
  Pages<Goroutine> larger(slots_.size() * 2);
  if (larger.empty()) return false;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].goid != 0) SlotOf(larger, slots_[i].goid) = slots_[i];
  }
  slots_ = std::move(larger);
  return true;
}

Goroutine* GoroutineTable::At(std::uint64_t goid) {
  if (goid == 0 || slots_.empty()) return nullptr;
  Goroutine* slot = &SlotOf(slots_, goid);
  if (slot->goid != 0) return slot;
  if (used_ >= slots_.size() / 2) {
    if (!Grow() && used_ + 1 == slots_.size()) return nullptr;
    slot = &SlotOf(slots_, goid);
  }
  slot->goid = goid;
  ++used_;
  return slot;
}

Goroutine* GoroutineTable::Find(std::uint64_t goid) {
  if (goid == 0 || slots_.empty()) return nullptr;
  Goroutine& slot = SlotOf(slots_, goid);
  return slot.goid == goid ? &slot : nullptr;
}

void GoroutineTable::ReadLivingNames() {
  for (const sched::G* gp = sched::FirstGoroutine(); gp != nullptr; gp = gp->all_next) {
    const sched::GStatus status = gp->status.load(std::memory_order_acquire);
    if (status == sched::GStatus::kDead || status == sched::GStatus::kIdle) continue;
    const std::uint64_t goid = gp->goid;
    Goroutine* known = Find(goid);
    if (known == nullptr) continue;
    char name[sizeof(known->name)];
    std::memcpy(name, gp->name, sizeof(name));
    const std::uint64_t entry_pc = gp->start_pc;
    // The G is another goroutine's by now, perhaps.
    if (gp->status.load(std::memory_order_acquire) == sched::GStatus::kDead || gp->goid != goid) {
      continue;
    }
    if (known->name[0] == 0) std::memcpy(known->name, name, sizeof(name));
    if (known->entry_pc == 0) known->entry_pc = entry_pc;
  }
}

}  // namespace urge::recorder

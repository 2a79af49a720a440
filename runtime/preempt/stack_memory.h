// What a frame walk works on: a set of registers, and the memory of one stack.

#ifndef URGE_RUNTIME_PREEMPT_STACK_MEMORY_H_
#define URGE_RUNTIME_PREEMPT_STACK_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace urge::preempt {

// General registers in DWARF's order for x86-64 (System V ABI, figure 3.36), so that a register's
// number is its index.
struct Registers {
  uint64_t rax = 0, rdx = 0, rcx = 0, rbx = 0, rsi = 0, rdi = 0, rbp = 0, rsp = 0;
  uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0;
  uint64_t rip = 0;

  uint64_t& operator[](size_t dwarf) { return *(&rax + dwarf); }
  uint64_t operator[](size_t dwarf) const { return *(&rax + dwarf); }
};
inline constexpr size_t kRegisterCount = 17;
static_assert(sizeof(Registers) == kRegisterCount * sizeof(uint64_t), "indexed as an array");

// DWARF numbers of the registers that unwinding cares about.
enum DwarfRegister : uint8_t {
  kRbx = 3,
  kRbp = 6,
  kRsp = 7,
  kR12 = 12,
  kR13 = 13,
  kR14 = 14,
  kR15 = 15,
  kRip = 16
};

// Addresses that a walk may read.
struct StackRange {
  uintptr_t lo = 0;
  uintptr_t hi = 0;
};

// The segments of one stack; the only memory that unwinding reads besides unwind data.
class StackMemory {
 public:
  explicit StackMemory(std::span<const StackRange> ranges) : ranges_(ranges) {}

  // The range that holds the eight bytes at `address`, or null.
  const StackRange* Find(uintptr_t address) const {
    for (const StackRange& range : ranges_) {
      if (address >= range.lo && address < range.hi && range.hi - address >= sizeof(uint64_t)) {
        return &range;
      }
    }
    return nullptr;
  }
  // The address sanitizer is kept out: frames are read as bytes, red zones included.
  [[gnu::no_sanitize_address]] bool Read(uintptr_t address, uint64_t* out) const {
    if (Find(address) == nullptr) return false;
    __builtin_memcpy(out, reinterpret_cast<const void*>(address), sizeof(*out));
    return true;
  }

 private:
  std::span<const StackRange> ranges_;
};

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_STACK_MEMORY_H_

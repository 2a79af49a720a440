// Goroutine stacks: contiguous reservations, committed lazily by the kernel, each above a guard.
//
//  1. Slabs of address space are mapped without reserving memory and cut into stacks of the
//     standard size. A stack and its guard page follow each other, so successive tops lie a page
//     beyond a power of two and spread over the cache's sets by themselves.
//  2. The guard page is installed with MADV_GUARD_INSTALL, which needs no VMA of its own; on
//     kernels without it with mprotect; when the process runs out of mappings stacks go unguarded,
//     with one warning.
//  3. Stacks of other sizes have a mapping of their own and are unmapped when freed.
//
// Growth past the reservation is by segments, through newstack; see preempt/newstack.h.

#ifndef URGE_RUNTIME_SCHED_STACK_H_
#define URGE_RUNTIME_SCHED_STACK_H_

#include <cstddef>
#include <cstdint>

namespace urge::sched {

struct StackSpan {
  std::uintptr_t lo = 0;  // lowest usable address; the guard page is below
  std::uintptr_t hi = 0;

  std::size_t size() const { return hi - lo; }
  bool Contains(std::uintptr_t address) const { return address >= lo && address < hi; }
  bool empty() const { return hi == 0; }
};

// Sets the standard size; before the first allocation. Units: bytes, whole pages.
void SetStandardStackBytes(std::size_t bytes);
std::size_t StandardStackBytes();

// Returns an empty span when the system has no memory or mappings left. Runs on: anything.
StackSpan AllocateStack(std::size_t bytes);
void FreeStack(StackSpan span);
// Gives pages deeper than kStackKeepBytes back to the system if any of them is committed.
void TrimStack(StackSpan span);

// Is the address in some stack's guard page? Signal-safe: yes (arithmetic on the span only).
bool InGuard(const StackSpan& span, std::uintptr_t address);

}  // namespace urge::sched

#endif  // URGE_RUNTIME_SCHED_STACK_H_

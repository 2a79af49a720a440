// Hogs with prologue checks, and callbacks that a C library function calls.

#ifndef URGE_TESTS_PREEMPT_HOGS_SPLIT_H_
#define URGE_TESTS_PREEMPT_HOGS_SPLIT_H_

#include <atomic>
#include <cstdint>

namespace hogs {

// Calls itself over and over until told to stop.
void RecurseUntil(const std::atomic<bool>& stop);
// An instrumented comparator of ints.
int CompareInts(const void* a, const void* b);

}  // namespace hogs

#endif  // URGE_TESTS_PREEMPT_HOGS_SPLIT_H_

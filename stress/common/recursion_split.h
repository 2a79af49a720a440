// Call-heavy recursion with split-stack prologues: every call offers a switch.

#ifndef URGE_STRESS_COMMON_RECURSION_SPLIT_H_
#define URGE_STRESS_COMMON_RECURSION_SPLIT_H_

#include <cstdint>

namespace stress {

// How many ways there are to put n queens on an n x n board so that none attacks another.
// Requires: n <= 16.
std::uint64_t CountQueens(int n);

// The naive doubly recursive Fibonacci number.
std::uint64_t Fibonacci(std::uint64_t n);

}  // namespace stress

#endif  // URGE_STRESS_COMMON_RECURSION_SPLIT_H_

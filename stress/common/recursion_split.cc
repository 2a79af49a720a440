// The recursive functions, compiled with -fsplit-stack as the name of this file asks for.

#include "stress/common/recursion_split.h"

namespace stress {
namespace {

// Bit sets of the columns and diagonals that are attacked in the next row.
[[gnu::noinline]] std::uint64_t Place(unsigned all, unsigned columns, unsigned left,
                                      unsigned right) {
  if (columns == all) return 1;
  std::uint64_t ways = 0;
  for (unsigned free = all & ~(columns | left | right); free != 0; free &= free - 1) {
    const unsigned queen = free & -free;
    ways += Place(all, columns | queen, (left | queen) << 1, (right | queen) >> 1);
  }
  return ways;
}

}  // namespace

std::uint64_t CountQueens(int n) { return Place((1u << n) - 1, 0, 0, 0); }

[[gnu::noinline]] std::uint64_t Fibonacci(std::uint64_t n) {
  return n < 2 ? n : Fibonacci(n - 1) + Fibonacci(n - 2);
}

}  // namespace stress

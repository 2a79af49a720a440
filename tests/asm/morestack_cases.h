// morestack_cases.h: instrumented routines, compiled once by gcc and once by clang.

#ifndef URGE_TESTS_ASM_MORESTACK_CASES_H_
#define URGE_TESTS_ASM_MORESTACK_CASES_H_

#include <cstdint>
#include <vector>

namespace urge::test {

struct MorestackCase {
  const char* name;
  std::uint64_t (*run)();  ///< A digest that must not depend on what the prologues do.
  const char* needs;       ///< A feature for __builtin_cpu_supports, or nullptr.
};

std::vector<MorestackCase> GccCases();
std::vector<MorestackCase> ClangCases();

/// gcc only, in C: nested functions. Defined in morestack_nested.c.
extern "C" std::uint64_t MorestackNested();
extern "C" std::uint64_t MorestackNestedVarargs();

}  // namespace urge::test

#endif  // URGE_TESTS_ASM_MORESTACK_CASES_H_

// Fixtures: a test's property at several numbers of processors, waiting for a condition without
// sleeping, and random numbers whose seed is printed.

#ifndef URGE_TESTS_TESTING_PROCS_H_
#define URGE_TESTS_TESTING_PROCS_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include <urge/go.h>
#include <urge/runtime.h>

namespace urge::testing {

// Runs each TEST_P at the instantiated number of processors.
class ProcsTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    urge::run([] {});
    urge::set_procs(GetParam());
  }
};

inline std::string ProcsName(const ::testing::TestParamInfo<int>& info) {
  return std::to_string(info.param) + "procs";
}

#define URGE_TEST_AT_PROCS(suite)                                 \
  INSTANTIATE_TEST_SUITE_P(At, suite, ::testing::Values(1, 2, 8), \
                           [](const auto& info) { return urge::testing::ProcsName(info); })

// Yields until the condition holds; a test that waits in vain is ended by its time limit.
template <class Condition>
void Await(Condition&& condition) {
  while (!condition()) urge::yield();
}

// A generator whose seed is printed, and can be given as URGE_TEST_SEED.
inline std::mt19937_64 Random() {
  const char* given = std::getenv("URGE_TEST_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("URGE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return std::mt19937_64(seed);
}

}  // namespace urge::testing

#endif  // URGE_TESTS_TESTING_PROCS_H_

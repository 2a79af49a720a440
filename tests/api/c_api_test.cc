// The C API: its C half is c_api_test_calls.c.

#include <urge/c.h>
#include <urge/urge.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "tests/testing/procs.h"

extern "C" {
int c_counts_in_goroutines(int n);
int c_runs_and_returns(void);
int c_refuses_null(void);
}

namespace {

class CApiTest : public urge::testing::ProcsTest {};
URGE_TEST_AT_PROCS(CApiTest);

TEST_P(CApiTest, CProgramsStartGoroutines) { EXPECT_EQ(c_counts_in_goroutines(100), 100); }
TEST_P(CApiTest, RunReturnsAfterTheFunction) { EXPECT_EQ(c_runs_and_returns(), 0); }
TEST_P(CApiTest, NullFunctionsAreRefused) { EXPECT_EQ(c_refuses_null(), 0); }

std::atomic<std::size_t> g_expected_bytes{0};
std::atomic<int> g_verdict{-1};

void CheckCopy(void* p) {
  const auto* b = static_cast<unsigned char*>(p);
  bool right = reinterpret_cast<std::uintptr_t>(p) % alignof(std::max_align_t) == 0;
  for (std::size_t i = 0; i < g_expected_bytes; ++i) {
    right = right && b[i] == static_cast<unsigned char>(i);
  }
  g_verdict = right;
}

TEST_P(CApiTest, ArgumentsAreCopiedUpToTheLimit) {
  for (const std::size_t bytes : {0, 1, 15, 16, 1000, URGE_GO_COPY_MAX}) {
    std::vector<unsigned char> data(bytes + 1);
    for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<unsigned char>(i);
    g_expected_bytes = bytes;
    g_verdict = -1;
    EXPECT_EQ(urge_go_copy(CheckCopy, data.data(), bytes), 0);
    std::memset(data.data(), 0xee, data.size());
    urge::testing::Await([] { return g_verdict != -1; });
    EXPECT_EQ(g_verdict, 1) << bytes;
  }
}

TEST_P(CApiTest, OversizeArgumentsAreRefused) {
  std::vector<char> data(URGE_GO_COPY_MAX + 1);
  EXPECT_EQ(urge_go_copy([](void*) {}, data.data(), data.size()), E2BIG);
  EXPECT_EQ(urge_go_copy([](void*) {}, data.data(), SIZE_MAX), E2BIG);
  EXPECT_EQ(urge_go_copy([](void*) {}, nullptr, 1), EINVAL);
}

TEST_P(CApiTest, ErrnoIsLeftAlone) {
  errno = 77;
  EXPECT_EQ(urge_go(nullptr, nullptr), EINVAL);
  EXPECT_EQ(urge_set_procs(-1), EINVAL);
  urge_sleep_ns(1000);
  urge_yield();
  EXPECT_EQ(errno, 77);
}

TEST_P(CApiTest, ProcsIsWhatWasSet) {
  EXPECT_EQ(urge_procs(), GetParam());
  EXPECT_EQ(urge_set_procs(3), 0);
  EXPECT_EQ(urge_procs(), 3);
  EXPECT_EQ(urge_set_procs(0), EINVAL);
  EXPECT_EQ(urge_start(1), EALREADY);
  EXPECT_EQ(urge_goid(), 0u);
}

}  // namespace

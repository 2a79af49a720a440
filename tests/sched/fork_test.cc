// Forked children: they may execute another program, and are told clearly that goroutines end with
// the parent.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/program.h"

namespace {

using urge::test::RunProgram;

TEST(ForkTest, AChildOfAGoroutineCanExecuteAnotherProgram) {
  const auto r = RunProgram("fork_child", {.args = {"exec"}});
  EXPECT_EQ(r.exit_status, 0) << r.err;
  EXPECT_EQ(r.out,
            "from the child\nfrom the child\nfrom the child\nfrom the child\nfrom the child\n");
}

TEST(ForkTest, StartingAGoroutineInAChildIsRefusedClearly) {
  const auto r = RunProgram("fork_child", {.args = {"go"}});
  EXPECT_EQ(r.exit_status, 0) << r.err;
  EXPECT_THAT(r.out, ::testing::StartsWith("urge: goroutines can't be used in a forked child"));
  EXPECT_THAT(r.out, ::testing::Not(::testing::HasSubstr("started")));
  EXPECT_THAT(r.out, ::testing::Not(::testing::HasSubstr("still a goroutine")));
}

}  // namespace

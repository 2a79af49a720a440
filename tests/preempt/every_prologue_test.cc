// The mode in which every prologue stops.

#include <gtest/gtest.h>

#include "tests/support/program.h"

namespace {

using urge::test::RunProgram;

TEST(EveryPrologueTest, StopsTheGoroutineWhenThatIsAskedFor) {
  for (const char* procs : {"URGE_MAXPROCS=1", "URGE_MAXPROCS=2", "URGE_MAXPROCS=8"}) {
    const auto r = RunProgram("every_prologue_split",
                              {.environment = {"URGE_DEBUG=preemptprologue=1", procs}});
    EXPECT_EQ(r.out, "sum 2000, stops all, held off all\n") << procs << r.err;
  }
}

TEST(EveryPrologueTest, LeavesItAloneOtherwise) {
  const auto r = RunProgram("every_prologue_split", {});
  EXPECT_EQ(r.out, "sum 2000, stops few, held off all\n") << r.err;
}

}  // namespace

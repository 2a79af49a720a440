// The preemption signal shared with others.
//
// Under ThreadSanitizer it preempts nobody, and the program's loops make no calls.
// skip: tsan

#include <gtest/gtest.h>

#include "tests/support/program.h"

namespace {

using urge::test::ProgramResult;
using urge::test::RunProgram;

ProgramResult RunMode(const std::string& mode, std::vector<std::string> environment = {}) {
  return RunProgram("foreign_signal", {.args = {mode}, .environment = std::move(environment)});
}

TEST(ForeignSignalTest, ReachesTheFormerHandlerAndPreemptionGoesOn) {
  const ProgramResult r = RunMode("plain");
  EXPECT_EQ(r.out, "foreign 100\n") << r.err;
  EXPECT_EQ(r.exit_status, 0);
}

TEST(ForeignSignalTest, OneThatMergesWithUrgesOwnDoesNotEndPreemption) {
  const ProgramResult r = RunMode("merge");
  EXPECT_FALSE(r.timed_out) << "never preempted again";
  EXPECT_EQ(r.out, "foreign 1\n") << r.err;
}

TEST(ForeignSignalTest, PreemptionWorksWhereNoSignalCanBeQueued) {
  const ProgramResult r = RunMode("queue");
  EXPECT_FALSE(r.timed_out) << "never preempted again";
  EXPECT_EQ(r.out, "foreign 100\n") << r.err;
}

TEST(ForeignSignalTest, AnotherSignalServesAsWellAndLeavesSigurgAlone) {
  for (const char* name : {"URGE_SIGNAL=SIGUSR2", "URGE_SIGNAL=USR1", "URGE_SIGNAL=RTMIN+3"}) {
    const ProgramResult r = RunMode("plain", {name});
    EXPECT_EQ(r.out, "foreign 100\n") << name << r.err;
  }
}

}  // namespace

// When the system has no more threads or memory to give.
//
// Under a limit of memory the sanitizers themselves fail.
// skip: asan tsan

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/program.h"

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using urge::test::ProgramResult;
using urge::test::RunProgram;

TEST(ExhaustionTest, AFailedStartCanBeTriedAgain) {
  const ProgramResult r = RunProgram("no_threads", {.args = {"0", "1"}});
  EXPECT_EQ(r.exit_status, 0) << r.signal << r.err;
  EXPECT_THAT(r.out, AllOf(HasSubstr("urge: can't start the sysmon thread"),
                           HasSubstr("sum 4950, procs 2")));
}

TEST(ExhaustionTest, AThreadThatCanBeHadALittleLaterIsWaitedFor) {
  const ProgramResult r = RunProgram("no_threads", {.args = {"1", "5"}});
  EXPECT_EQ(r.exit_status, 0) << r.signal << r.err;
  EXPECT_EQ(r.out, "sum 4950, procs 2\n");
}

TEST(ExhaustionTest, WithoutThreadsTheEndSaysSo) {
  const ProgramResult r = RunProgram("no_threads", {.args = {"1", "1000"}});
  EXPECT_EQ(r.exit_status, 2) << r.signal;
  EXPECT_THAT(r.err, AllOf(HasSubstr("failed to create new OS thread"), HasSubstr("errno")));
}

TEST(ExhaustionTest, WithoutMemoryForStacksGoThrowsAndNothingIsLost) {
  const ProgramResult r = RunProgram("no_memory");
  EXPECT_EQ(r.exit_status, 0) << r.signal << r.err << r.out;
  EXPECT_THAT(r.out, HasSubstr("all ran"));
}

}  // namespace

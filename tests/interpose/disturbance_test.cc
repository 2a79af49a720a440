// Processes, signals and jumps in the middle of a storm of preemptions.
//
// Nothing is stood in for in the sanitizers' builds.
// skip: asan tsan

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/program.h"

namespace {

using urge::test::ProgramResult;
using urge::test::RunProgram;

ProgramResult Disturb(int procs, const std::string& what) {
  return RunProgram("disturbances", {.args = {std::to_string(procs), what}, .timeout_s = 100});
}

class DisturbanceTest : public testing::TestWithParam<std::tuple<int, std::string>> {};

TEST_P(DisturbanceTest, IsSurvived) {
  const auto& [procs, what] = GetParam();
  const ProgramResult r = Disturb(procs, what);
  EXPECT_FALSE(r.timed_out);
  EXPECT_EQ(r.out, "done\n") << r.err;
  EXPECT_EQ(r.exit_status, 0);
}

INSTANTIATE_TEST_SUITE_P(Of, DisturbanceTest,
                         testing::Combine(testing::Values(1, 2, 8),
                                          testing::Values("fork", "vfork", "spawn", "system",
                                                          "popen", "handler", "onstack", "profiler",
                                                          "late_urgent", "longjmp", "child_signal",
                                                          "no_deadlock")),
                         [](const auto& info) {
                           return std::get<1>(info.param) + "_" +
                                  std::to_string(std::get<0>(info.param)) + "procs";
                         });

TEST(InterposedDeadlockTest, GoroutinesThatAllWaitForAConditionAreReported) {
  const ProgramResult r = Disturb(2, "deadlock");
  EXPECT_EQ(r.exit_status, 2);
  EXPECT_THAT(r.err, testing::HasSubstr("all goroutines are asleep - deadlock!"));
}

TEST(ThreadEndTest, PthreadExitInAGoroutineIsAClearError) {
  const ProgramResult r = Disturb(1, "pthread_exit");
  EXPECT_EQ(r.exit_status, 2);
  EXPECT_THAT(r.err, testing::HasSubstr("pthread_exit called in a goroutine"));
  EXPECT_THAT(r.err, testing::HasSubstr("goroutine"));
}

TEST(ThreadEndTest, CancellingAThreadThatRunsGoroutinesIsAClearError) {
  const ProgramResult r = Disturb(1, "pthread_cancel");
  EXPECT_EQ(r.exit_status, 2);
  EXPECT_THAT(r.err, testing::HasSubstr("pthread_cancel of a thread that runs goroutines"));
}

}  // namespace

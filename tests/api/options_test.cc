// Options and environment variables: bad ones are refused, in words that name them and what is
// allowed; good ones take effect.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/program.h"

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using urge::test::ProgramResult;
using urge::test::RunProgram;

struct Case {
  std::vector<std::string> args;
  std::vector<std::string> environment;
  std::vector<std::string> words;  // of the message
};

std::string Print(const Case& c) {
  std::string text;
  for (const auto* list : {&c.args, &c.environment}) {
    for (const std::string& s : *list) text += s + " ";
  }
  return text;
}

TEST(OptionsTest, BadOnesAreRefusedByNameAndRange) {
  const std::vector<Case> cases = {
      {{"procs", "-1"}, {}, {"options::procs", "-1", "1024"}},
      {{"procs", "1025"}, {}, {"options::procs", "1025", "1024"}},
      {{"slice_ns", "19999"}, {}, {"options::slice", "19999", "20us to 10s"}},
      {{"slice_ns", "-5"}, {}, {"options::slice", "-5", "20us to 10s"}},
      {{"slice_ns", "10000000001"}, {}, {"options::slice", "20us to 10s"}},
      {{"stack_size", "32767"}, {}, {"options::stack_size", "32767", "32768"}},
      {{"stack_size", "0"}, {}, {"options::stack_size", "32768"}},
      {{"max_stack", "1000"}, {}, {"options::max_stack", "1000", "32768"}},
      {{"max_stack", "1073741825"}, {}, {"options::max_stack", "1073741824"}},
      {{"stack_size", "262144", "max_stack", "131072"}, {}, {"options::stack_size", "131072"}},
      {{}, {"URGE_MAXPROCS=0"}, {"URGE_MAXPROCS", "\"0\"", "1 to 1024"}},
      {{}, {"URGE_MAXPROCS=-3"}, {"URGE_MAXPROCS", "1 to 1024"}},
      {{}, {"URGE_MAXPROCS=two"}, {"URGE_MAXPROCS", "two", "1 to 1024"}},
      {{}, {"URGE_MAXPROCS=99999999999"}, {"URGE_MAXPROCS", "1 to 1024"}},
      {{}, {"URGE_SLICE=10"}, {"URGE_SLICE", "with a unit"}},
      {{}, {"URGE_SLICE=1us"}, {"URGE_SLICE", "20us to 10s"}},
      {{}, {"URGE_SLICE=1h"}, {"URGE_SLICE", "20us to 10s"}},
      {{}, {"URGE_SLICE=inf"}, {"URGE_SLICE", "20us to 10s"}},
      {{}, {"URGE_SLICE=-1ms"}, {"URGE_SLICE", "20us to 10s"}},
      {{}, {"URGE_SIGNAL=SIGKILL"}, {"URGE_SIGNAL", "SIGKILL"}},
      {{}, {"URGE_SIGNAL=11"}, {"URGE_SIGNAL", "11"}},
      {{}, {"URGE_SIGNAL=SIGNOPE"}, {"URGE_SIGNAL", "SIGNOPE"}},
      {{}, {"URGE_SIGNAL=0"}, {"URGE_SIGNAL"}},
      {{}, {"URGE_SIGNAL=65"}, {"URGE_SIGNAL", "65"}},
      {{}, {"URGE_SIGNAL=RTMIN+99"}, {"URGE_SIGNAL", "RTMIN+99"}},
      {{}, {"URGE_SIGNAL=32"}, {"URGE_SIGNAL", "32"}},  // the C library's own
      {{}, {"URGE_DEBUG=asyncpreemptof=1"}, {"URGE_DEBUG", "asyncpreemptof", "cooppreemptoff"}},
      {{}, {"URGE_DEBUG=randomize"}, {"randomize", "randomize=1"}},
      {{}, {"URGE_DEBUG=randomize=2"}, {"randomize", "from 0 to 1"}},
      {{}, {"URGE_DEBUG=seed=-1"}, {"seed", "-1"}},
      {{}, {"URGE_DEBUG=seed=1,bogus=1"}, {"bogus", "seed"}},
      {{}, {"URGE_DEBUG==1"}, {"URGE_DEBUG"}},
  };
  for (const Case& c : cases) {
    const ProgramResult r =
        RunProgram("start_options", {.args = c.args, .environment = c.environment});
    EXPECT_EQ(r.exit_status, 3) << Print(c) << r.out << r.err;
    EXPECT_THAT(r.out, HasSubstr("urge")) << Print(c);
    for (const std::string& word : c.words) EXPECT_THAT(r.out, HasSubstr(word)) << Print(c);
  }
}

TEST(OptionsTest, GoodOnesAreAccepted) {
  const std::vector<Case> cases = {
      {{"procs", "3"}, {"URGE_MAXPROCS=5"}, {"procs 3"}},
      {{}, {"URGE_MAXPROCS=5"}, {"procs 5"}},
      {{"slice_ns", "20000"}, {}, {"started"}},
      {{"slice_ns", "10000000000", "stack_size", "32768", "max_stack", "32768"}, {}, {"started"}},
      {{}, {"URGE_SLICE=250us"}, {"started"}},
      {{}, {"URGE_SIGNAL=SIGUSR2"}, {"started"}},
      {{}, {"URGE_SIGNAL=RTMIN+3"}, {"started"}},
      {{}, {"URGE_SIGNAL=12"}, {"started"}},
      {{}, {"URGE_DEBUG=randomize=1,seed=7,asyncpreemptoff=0"}, {"started"}},
      {{}, {"URGE_DEBUG=cooppreemptoff=1,asyncpreemptoff=1,wakeuppreemptoff=1"}, {"started"}},
      {{}, {"URGE_DEBUG=", "URGE_SLICE=", "URGE_MAXPROCS=", "URGE_SIGNAL="}, {"started"}},
  };
  for (const Case& c : cases) {
    const ProgramResult r =
        RunProgram("start_options", {.args = c.args, .environment = c.environment});
    EXPECT_EQ(r.exit_status, 0) << Print(c) << r.out << r.err;
    for (const std::string& word : c.words) EXPECT_THAT(r.out, HasSubstr(word)) << Print(c);
  }
}

TEST(OptionsTest, TheSchedulerTraceIsPrintedWhenAskedFor) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the program's loops make no calls, and signals preempt nobody here";
#endif
  const ProgramResult r =
      RunProgram("foreign_signal",
                 {.args = {"plain"}, .environment = {"URGE_DEBUG=schedtrace=5,scheddetail=1"}});
  EXPECT_EQ(r.exit_status, 0);
  EXPECT_THAT(r.err, AllOf(HasSubstr("SCHED "), HasSubstr(" gomaxprocs=1 "), HasSubstr("  P0:"),
                           HasSubstr("  G")));
}

}  // namespace

// URGE_DEBUG=stall: who doesn't stop is shown, with the cause, where it is, and not too often.
// skip: tsan

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/program.h"

namespace urge::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

int Count(const std::string& text, const std::string& what) {
  int n = 0;
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
  return n;
}

std::string Stalls(std::vector<std::string> args, std::string debug = "stall=5ms") {
  const ProgramResult result =
      RunProgram("stalls", {.args = std::move(args), .environment = {"URGE_DEBUG=" + debug}});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  return result.err;
}

TEST(Stall, ShowsANoPreemptRegionWithItsTraceback) {
  const std::string err = Stalls({"no_preempt"});
  EXPECT_THAT(err, ContainsRegex("urge: stall: goroutine [0-9]+ \"hog\" \\{kind: no_preempt\\} was "
                                 "asked to stop [0-9.]+ ms ago and runs on: it is in a no-preempt "
                                 "region"));
  EXPECT_THAT(err,
              ContainsRegex("goroutine [0-9]+ \\[running\\] \"hog\" \\{kind: no_preempt\\}:\n"));
  EXPECT_THAT(err, ContainsRegex("\nCompute\\(\\)\n\t[^\n]*stalls\\.cc:[0-9]+ "));
  EXPECT_THAT(err, ContainsRegex("\nHoldOff\\(\\)\n\t[^\n]*stalls\\.cc:[0-9]+ "));
  EXPECT_THAT(err, HasSubstr("\ncreated by main"));
}

TEST(Stall, NamesTheModuleAndFunctionOfOpaqueCode) {
  const std::string err = Stalls({"zlib"});
  EXPECT_THAT(err, ContainsRegex("(it is in opaque code,|below it is) "
                                 "(.* in libz\\.so\\.1|at libz\\.so\\.1\\+0x)"))
      << "or in a pure leaf that it calls";
  EXPECT_THAT(err, HasSubstr("\nCompress("));
}

TEST(Stall, SaysThatSignalsAreBlocked) {
  const std::string err = Stalls({"mask"});
  EXPECT_THAT(err,
              ContainsRegex("goroutine [0-9]+ \"hog\" was asked to stop [0-9.]+ ms ago and runs "
                            "on: it blocks signals"));
}

TEST(Stall, NamesWhatLiesBelowACallback) {
  // Several, since one may be met amid an answer that comes to nothing.
  const std::string err = Stalls({"callback", "5"});
  EXPECT_THAT(err,
              ContainsRegex(
                  "it is in a callback: below it is (.* in libc\\.so\\.6|at libc\\.so\\.6\\+0x)"));
  EXPECT_THAT(err, HasSubstr("\nCallBack()\n"));
}

TEST(Stall, ShowsALoopWhenSignalsAreOff) {
  const std::string err = Stalls({"loop"}, "stall=5ms,asyncpreemptoff=1");
  EXPECT_THAT(err, HasSubstr("it has come to no function prologue, and signals are off"));
  EXPECT_THAT(err, HasSubstr("\nCompute()\n"));
}

// A busy machine may keep the thread off its processor, which is told as such.
TEST(Stall, IsNoneWhereTheGoroutineStops) {
  const std::string err = Stalls({"loop"}, "stall=20ms");
  EXPECT_THAT(err, Not(HasSubstr("it is in")));
}

TEST(Stall, OfOneSiteIsShownAFewTimesAndTheOthersAreCounted) {
  const std::string err = Stalls({"no_preempt", "10"});
  EXPECT_LE(Count(err, "it is in a no-preempt region"), 3);
  EXPECT_GE(Count(err, "it is in a no-preempt region"), 1);
  EXPECT_THAT(err, ContainsRegex("urge: stall: [0-9]+ more were not shown"));
}

TEST(Stall, BoundsThatMakeNoSenseAreRefused) {
  for (const char* value : {"stall=", "stall=5", "stall=-1ms", "stall=1ns", "stall=soon"}) {
    const ProgramResult result = RunProgram(
        "stalls", {.args = {"loop"}, .environment = {std::string("URGE_DEBUG=") + value}});
    EXPECT_THAT(result.err, HasSubstr("URGE_DEBUG's stall is \"")) << value;
    EXPECT_THAT(result.err, HasSubstr("as in stall=5ms")) << value;
  }
}

}  // namespace
}  // namespace urge::test

// stress/fairness as its users meet it: the report, the JSON file, and wrong arguments.
//
// skip: asan tsan

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "stress/common/json_reader.h"
#include "tests/stress/command.h"
#include "tests/stress/temporary_file.h"

namespace {

using stress::Json;
using testing::AllOf;
using testing::HasSubstr;
using urge_test::CommandResult;
using urge_test::RunCommand;
using urge_test::TemporaryFile;

CommandResult Fairness(std::vector<std::string> arguments) {
  return RunCommand("stress/fairness", arguments);
}

struct Wrong {
  std::vector<std::string> arguments;
  std::vector<std::string> message;  // what the error line must say
};

class WrongArguments : public testing::TestWithParam<Wrong> {};

TEST_P(WrongArguments, GetOneClearLineAndStatus2) {
  const CommandResult result = Fairness(GetParam().arguments);
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_THAT(result.err, testing::StartsWith("fairness: "));
  for (const std::string& part : GetParam().message) EXPECT_THAT(result.err, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(
    Fairness, WrongArguments,
    testing::Values(Wrong{{"--nonsense"}, {"--nonsense", "--help"}},
                    Wrong{{"nonsense"}, {"nonsense"}},
                    Wrong{{"--duration"}, {"--duration", "needs a value"}},
                    Wrong{{"--duration=soon"}, {"--duration", "soon", "10ms"}},
                    Wrong{{"--duration=5"}, {"--duration", "'5'", "2.5s"}},
                    Wrong{{"--duration=-1s"}, {"--duration", "out of range", "100ms"}},
                    Wrong{{"--duration=nans"}, {"--duration", "nans"}},
                    Wrong{{"--duration=100ms"}, {"--duration", "too short", "at least"}},
                    Wrong{{"--procs=0"}, {"--procs", "1 to 1024"}},
                    Wrong{{"--procs=1025"}, {"--procs", "1 to 1024"}},
                    Wrong{{"--procs=two"}, {"--procs", "two", "whole number"}},
                    Wrong{{"--procs=99999999999999999999"}, {"--procs", "out of range"}},
                    Wrong{{"--slice=1us"}, {"--slice", "20us to 10s"}},
                    Wrong{{"--slice=11s"}, {"--slice", "20us to 10s"}},
                    Wrong{{"--hogs=nap:3"}, {"--hogs", "'nap'", "loop", "regex"}},
                    Wrong{{"--hogs="}, {"--hogs", "the kinds are"}},
                    Wrong{{"--hogs=loop:0"}, {"--hogs", "loop", "1 to 1000"}},
                    Wrong{{"--hogs=loop:x"}, {"--hogs", "'x'"}},
                    Wrong{{"--hogs=loop:1,loop:2"}, {"--hogs", "twice"}},
                    Wrong{{"--hogs=loop:1,"}, {"--hogs", "the kinds are"}},
                    Wrong{{"--no-preempt=yes"}, {"--no-preempt", "no value"}},
                    Wrong{{"--file=/no/such/file"}, {"--file", "/no/such/file", "No such file"}},
                    Wrong{{"--file=/tmp"}, {"--file", "regular file"}},
                    Wrong{{"--file=/dev/zero"}, {"--file", "regular file"}},
                    Wrong{{"--file="}, {"--file", "empty"}},
                    Wrong{{"--json=/no/such/directory/x.json"}, {"--json", "No such file"}}));

TEST(Fairness, EmptyFileIsRefused) {
  const TemporaryFile empty;
  const CommandResult result = Fairness({"--file", empty.path()});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("is empty"));
}

TEST(Fairness, HelpNamesEveryOptionAndKind) {
  const CommandResult result = Fairness({"--help"});
  EXPECT_EQ(result.status, 0);
  for (const char* word : {"--duration", "--procs", "--slice", "--hogs", "--no-preempt", "--json",
                           "--file", "Exit status", "sha256", "zlib", "recursion"}) {
    EXPECT_THAT(result.out, HasSubstr(word));
  }
  EXPECT_THAT(result.out, testing::Not(HasSubstr("result-fd")));
}

TEST(Fairness, NobodyStarvesUnderPreemptionAndTheReportSaysSo) {
  // Small enough that every hog gets through it on a busy machine.
  std::string text;
  for (int i = 0; text.size() < 50'000; ++i) text += "line_" + std::to_string(i * 7919) + " aa.5\n";
  const TemporaryFile json_file, input(text);
  const CommandResult result =
      Fairness({"--duration=2s", "--json", json_file.path(), "--file", input.path()});
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("Nobody starved"), HasSubstr("Jain's index"),
                                HasSubstr("preemption off"), HasSubstr("longest wait")));
  EXPECT_THAT(result.err, HasSubstr("least served hog")) << "progress";

  const Json json = Json::Parse(json_file.Contents());
  EXPECT_EQ(json["parameters"]["duration_ns"].number(), 2e9);
  EXPECT_EQ(json["verdict"]["exit_status"].number(), 0);
  ASSERT_EQ(json["phases"].array().size(), 2u);
  const Json& preempted = json["phases"][0];
  EXPECT_TRUE(preempted["preemption"].boolean());
  EXPECT_EQ(preempted["hogs"].array().size(), 8u);
  EXPECT_TRUE(preempted["starved"].array().empty());
  EXPECT_GT(preempted["jain_index"].number(), 0.9);
  double shares = 0;
  for (const Json& hog : preempted["hogs"].array()) {
    shares += hog["share"].number();
    EXPECT_GT(hog["verified"].number(), 0) << hog["name"].string();
    EXPECT_EQ(hog["failure"].string(), "");
  }
  EXPECT_NEAR(shares, 1, 1e-6);
  EXPECT_GT(preempted["preemptions"]["signal"].number(), 0);
  EXPECT_GT(preempted["preemptions"]["prologue"].number(), 0);
  EXPECT_GT(preempted["ping_pong"]["round_trips"].number(), 0);

  const Json& off = json["phases"][1];
  EXPECT_FALSE(off["preemption"].boolean());
  EXPECT_FALSE(off["starved"].array().empty()) << "8 hogs on 2 procs";
  EXPECT_EQ(off["preemptions"]["signal"].number() + off["preemptions"]["prologue"].number(), 0);
  EXPECT_LT(off["jain_index"].number(), preempted["jain_index"].number());
}

TEST(Fairness, OneHogEachOnOneProc) {
  const CommandResult result =
      Fairness({"--duration", "1s", "--procs", "1", "--slice", "2ms", "--hogs", "recursion,avx:2"});
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("avx 1"), HasSubstr("avx 2"), HasSubstr("recursion")));
}

TEST(Fairness, SomebodyStarvesWithoutPreemptionAndTheStatusSaysSo) {
  const CommandResult result =
      Fairness({"--no-preempt", "--duration=1s", "--procs=1", "--hogs=loop:3"});
  EXPECT_EQ(result.status, 1) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("2 of 3 hogs"));
  EXPECT_THAT(result.out, HasSubstr("4 of 4 tickers"));
}

TEST(Fairness, WorksOnATinyFile) {
  const TemporaryFile tiny("x");
  const CommandResult result = Fairness(
      {"--duration=500ms", "--slice=1ms", "--hogs=zlib,sha256,regex", "--file", tiny.path()});
  EXPECT_EQ(result.status, 0) << result.out << result.err;
}

}  // namespace

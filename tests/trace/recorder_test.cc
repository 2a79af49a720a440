// The flight recorder, and traces of programs that end in all the ways there are.
//
// Sanitizers handle crashes themselves.
// skip: asan tsan

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/trace/trace_file.h"

namespace urge::test {
namespace {

using ::testing::HasSubstr;
using urge::testing::TraceFile;

// A program in a folder of its own.
class Recorder : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/urge_recorder_XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  ProgramResult Run(std::vector<std::string> args, std::vector<std::string> environment,
                    int send_signal = 0) {
    environment.push_back("URGE_MAXPROCS=" + std::to_string(GetParam()));
    return RunProgram("traced", {.args = std::move(args),
                                 .environment = std::move(environment),
                                 .send_signal = send_signal});
  }
  std::string Flight() const { return "URGE_DEBUG=flightrecorder=" + Path("flight.json"); }
  bool Exists(const std::string& name) const { return std::filesystem::exists(Path(name)); }
  std::size_t CountFiles() const {
    std::size_t n = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_)) ++n;
    return n;
  }

  std::string folder_;
};
INSTANTIATE_TEST_SUITE_P(Procs, Recorder, ::testing::Values(1, 2, 8));

TEST_P(Recorder, NothingHappensNoFile) {
  const ProgramResult result = Run({"nothing"}, {Flight()});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(CountFiles(), 0u);
}

TEST_P(Recorder, ACrashLeavesTheLastSeconds) {
  const ProgramResult result = Run({"crash"}, {Flight()});
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_THAT(result.err, HasSubstr("SIGSEGV: segmentation violation"));
  EXPECT_THAT(result.err, HasSubstr("Crash()"));
  EXPECT_THAT(result.err, HasSubstr("trace written to " + Path("flight.json")));
  const TraceFile trace(Path("flight.json"));
  EXPECT_GE(trace.RunsOf("worker").size(), 1u);
  EXPECT_EQ(trace.Other("reason"), "the process died");
  EXPECT_EQ(CountFiles(), 1u);
}

TEST_P(Recorder, SoDoesACrashOfAPlainThread) {
  const ProgramResult result = Run({"thread-crash"}, {Flight()});
  EXPECT_EQ(result.signal, SIGSEGV);
  const TraceFile trace(Path("flight.json"));
  EXPECT_GE(trace.RunsOf("worker").size(), 1u);
}

TEST_P(Recorder, SoDoesAnUncaughtException) {
  const ProgramResult result = Run({"terminate"}, {Flight()});
  EXPECT_EQ(result.signal, SIGABRT);
  const TraceFile trace(Path("flight.json"));
  EXPECT_GE(trace.RunsOf("worker").size(), 1u);
}

TEST_P(Recorder, SoDoesADeadlock) {
  const ProgramResult result = Run({"deadlock"}, {Flight()});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, HasSubstr("all goroutines are asleep - deadlock!"));
  const TraceFile trace(Path("flight.json"));
  EXPECT_GE(trace.RunsOf("worker").size(), 1u);
}

TEST_P(Recorder, ACrashAmidATraceLeavesTheLastSecondsInItsFile) {
  const ProgramResult result = Run({"crash", Path("trace.json")}, {});
  EXPECT_EQ(result.signal, SIGSEGV);
  const TraceFile trace(Path("trace.json"));
  EXPECT_GE(trace.RunsOf("worker").size(), 1u);
  EXPECT_EQ(CountFiles(), 1u);
}

TEST_P(Recorder, ADeadlockIsSeenWhileATraceIsOn) {
  const ProgramResult result = Run({"deadlock", Path("trace.json")}, {});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, HasSubstr("all goroutines are asleep - deadlock!"));
  const TraceFile trace(Path("trace.json"));
  EXPECT_GE(trace.RunsOf("worker").size(), 1u);
}

TEST_P(Recorder, ASignalAsksForASnapshot) {
  const ProgramResult result = Run({"signal", Path("trace.json"), Path("flight.json")},
                                   {Flight() + ",tracesignal=USR1"}, SIGUSR1);
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("snapshot: trace written to "));
  const TraceFile flight(Path("flight.json")), trace(Path("trace.json"));
  EXPECT_GE(flight.RunsOf("worker").size(), 1u);
  EXPECT_EQ(flight.Other("reason"), "asked for by signal");
  EXPECT_GE(trace.RunsOf("worker").size(), 1u);
}

TEST_P(Recorder, AStarvingGoroutineIsNamed) {
  const ProgramResult result = Run({"starve"}, {Flight() + ",starvation=100ms"});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_THAT(result.err,
              ::testing::ContainsRegex(
                  "urge: goroutine [0-9]+ \"hog\" has waited [0-9]+ ms for a processor\n"));
  EXPECT_EQ(result.err.find("has waited"), result.err.rfind("has waited")) << "once";
  const TraceFile trace(Path("flight.json"));
  EXPECT_GE(trace.CountInstants("starves: "), 1u);
  EXPECT_EQ(trace.CountInstants("starvation: "), 1u);
  EXPECT_GE(std::stoull(trace.Other("starved_ns")), 100'000'000u);
  EXPECT_EQ(trace.Other("starved"), "hog G" + trace.Other("starved_goid"));
}

TEST_P(Recorder, NobodyStarvesNoFile) {
  const ProgramResult result = Run({"nothing"}, {Flight() + ",starvation=1h"});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_EQ(CountFiles(), 0u);
}

TEST_P(Recorder, AStormOfPreemptionsIsInOrder) {
  const ProgramResult result = Run({"storm", Path("trace.json")}, {"URGE_SLICE=100us"});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  const TraceFile trace(Path("trace.json"));
  EXPECT_GE(trace.CountInstants("preempted "), 50u);
}

TEST_P(Recorder, WhatIsOverwrittenIsCounted) {
  const ProgramResult result = Run({"overrun", Path("trace.json")}, {Flight() + ",tracebuffer=4"});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  const TraceFile trace(Path("trace.json"));
  const auto lost = std::stoull(trace.Other("events_lost"));
  EXPECT_GT(lost, 0u);
  // It shows where it is missing.
  std::size_t shown = 0;
  for (const auto& instant : trace.instants()) {
    if (instant.category == "lost") shown += std::stoull(instant.name);
  }
  EXPECT_EQ(shown, lost);
}

TEST_P(Recorder, TheEndOfTheProgramEndsTheTrace) {
  const ProgramResult result = Run({"exit", Path("trace.json")}, {});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  const TraceFile trace(Path("trace.json"));
  EXPECT_GE(trace.RunsOf("worker").size(), 1u);
}

TEST(RecorderOptions, BadValuesAreClearErrors) {
  for (const char* bad : {"flightrecorder=", "tracesignal=KILL", "tracesignal=URG",
                          "starvation=soon", "starvation=1us", "tracebuffer=0"}) {
    const ProgramResult result =
        RunProgram("traced", {.environment = {"URGE_DEBUG=" + std::string(bad)}});
    EXPECT_NE(result.exit_status, 0) << bad;
    EXPECT_THAT(result.err, HasSubstr("allowed are")) << bad;
  }
}

}  // namespace
}  // namespace urge::test

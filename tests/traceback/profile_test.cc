// Profiles: who used the processors, where, in which ratio; and beside a program's own SIGPROF.
// skip: tsan asan

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <urge/profile.h>
#include <urge/urge.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "tests/support/program.h"

namespace urge::test {
namespace {

using ::testing::HasSubstr;

class Profile : public testing::Test {
 protected:
  Profile() : path_(testing::TempDir() + "profile." + std::to_string(getpid())) {}
  ~Profile() override { unlink(path_.c_str()); }

  struct Stack {
    std::string frames;
    long samples;
  };
  // Fails unless each line is a stack and a count.
  std::vector<Stack> Read() const {
    std::vector<Stack> stacks;
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) {
      const std::size_t at = line.rfind(' ');
      char* end = nullptr;
      const long samples = at == line.npos ? 0 : std::strtol(line.c_str() + at + 1, &end, 10);
      if (samples <= 0 || *end != 0) {
        ADD_FAILURE() << "not a stack and a count: " << line;
        continue;
      }
      stacks.push_back({line.substr(0, at), samples});
    }
    return stacks;
  }
  static long Sum(const std::vector<Stack>& stacks, const std::string& what) {
    long sum = 0;
    for (const Stack& stack : stacks) {
      if (stack.frames.find(what) != std::string::npos) sum += stack.samples;
    }
    return sum;
  }

  const std::string path_;
};

TEST_F(Profile, TellsGoroutinesLabelsAndFunctions) {
  const ProgramResult result = RunProgram("profiled", {.args = {path_}});
  ASSERT_EQ(result.exit_status, 0) << result.err;
  const std::vector<Stack> stacks = Read();
  // A second of CPU time at 250 a second; a kernel with a slow tick still has a hundred.
  EXPECT_GE(Sum(stacks, ""), 60);
  EXPECT_GT(Sum(stacks, "worker;{request: 17, a:b: c d};goroutine "), 0);
  EXPECT_GT(Sum(stacks, "created by main"), 0) << "the one without a name";
  const long much = Sum(stacks, ";Much();"), little = Sum(stacks, ";Little();");
  EXPECT_GT(much, little);
  EXPECT_GT(much + little, Sum(stacks, "") / 2);
}

TEST_F(Profile, IsTakenByTheEnvironment) {
  const ProgramResult result =
      RunProgram("profiled", {.environment = {"URGE_DEBUG=profile=" + path_ + ",profilehz=250"}});
  ASSERT_EQ(result.exit_status, 0) << result.err;
  EXPECT_GT(Sum(Read(), ";Much();"), 0);
}

TEST_F(Profile, ToldWhyTheEnvironmentsCanNotBeTaken) {
  const ProgramResult result =
      RunProgram("profiled", {.environment = {"URGE_DEBUG=profile=/nonexistent/file"}});
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_THAT(result.err, HasSubstr("can't write /nonexistent/file: No such file or directory"));
}

TEST_F(Profile, LeavesTheProgramItsOwnSignals) {
  const ProgramResult result = RunProgram("profiled", {.args = {path_, "own"}});
  ASSERT_EQ(result.exit_status, 0) << result.err;
  EXPECT_GT(std::atoi(result.out.c_str()), 10);
  EXPECT_GT(Sum(Read(), ";Much();"), 0);
}

TEST_F(Profile, MisuseIsAClearError) {
  EXPECT_THROW(profile_stop(), std::logic_error);
  EXPECT_THROW(profile_start(path_, 0), std::invalid_argument);
  EXPECT_THROW(profile_start(path_, 1001), std::invalid_argument);
  EXPECT_THROW(profile_start("/nonexistent/file"), std::system_error);
  profile_start(path_);
  EXPECT_THROW(profile_start(path_), std::logic_error);
  profile_stop();
  EXPECT_THROW(profile_stop(), std::logic_error);
}

TEST_F(Profile, StartsAndStopsUnderLoad) {
  run([&] {
    wait_group hogs;
    std::atomic<bool> stop{false};
    for (int i = 0; i < 4; ++i) {
      hogs.go([&] {
        while (!stop.load(std::memory_order_relaxed)) go([] {});
      });
    }
    for (int i = 0; i < 50; ++i) {
      profile_start(path_, 1000);
      sleep_for(std::chrono::milliseconds(2));
      profile_stop();
    }
    stop = true;
    hogs.wait();
  });
}

}  // namespace
}  // namespace urge::test

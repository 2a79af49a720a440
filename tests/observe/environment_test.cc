// URGE_METRICS, and what serving must not change about a process: its end, its deadlocks, its
// forks.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "tests/support/program.h"

namespace {

using ::testing::HasSubstr;
using urge::test::ProgramResult;
using urge::test::RunProgram;

class Folder {
 public:
  Folder() { path_ = mkdtemp(template_); }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  char template_[32] = "/tmp/urge-metrics-XXXXXX";
  std::string path_;
};

// A socket at `path`, left behind as by a process that died.
void LeaveBehind(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::strcpy(at.sun_path, path.c_str());
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
  close(fd);
}

ProgramResult Serving(const std::string& program, const std::string& value,
                      std::vector<std::string> args = {}) {
  return RunProgram(program, {.args = args, .environment = {"URGE_METRICS=" + value}});
}

TEST(MetricsEnvironmentTest, ADeadlockIsFoundAllTheSame) {
  const ProgramResult r = Serving("deadlock", "1");
  EXPECT_EQ(r.exit_status, 2);
  EXPECT_THAT(r.err, HasSubstr("all goroutines are asleep - deadlock!"));
}

TEST(MetricsEnvironmentTest, WhatIsNoAddressIsAClearError) {
  for (const char* value : {"yes", "2", "@", "socket"}) {
    const ProgramResult r = Serving("start_options", value);
    EXPECT_EQ(r.exit_status, 3) << value;
    EXPECT_THAT(r.out, HasSubstr("URGE_METRICS is \"" + std::string(value) + "\"; allowed are"));
  }
}

TEST(MetricsEnvironmentTest, OffIsOff) {
  for (const char* value : {"0", ""}) {
    const ProgramResult r = Serving("serving", value);
    EXPECT_EQ(r.out, "threads 0\n") << value;
  }
}

TEST(MetricsEnvironmentTest, AnAddressThatCantBeHadIsAWarning) {
  const Folder folder;
  const std::string path = folder / "missing/socket";
  const ProgramResult r = Serving("start_options", path);
  EXPECT_EQ(r.exit_status, 0);
  EXPECT_THAT(r.out, HasSubstr("started"));
  EXPECT_THAT(r.err, HasSubstr("urge: can't serve metrics at " + path + ": No such file"));
}

TEST(MetricsEnvironmentTest, APathIsTheUsersAloneAndGoesAtExit) {
  const Folder folder;
  const std::string path = folder / "socket";
  const ProgramResult r = Serving("serving", path, {path});
  EXPECT_EQ(r.out, "threads 1\nmode 600\n");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(MetricsEnvironmentTest, ASocketThatWasLeftBehindIsReplaced) {
  const Folder folder;
  const std::string path = folder / "socket";
  LeaveBehind(path);
  EXPECT_EQ(Serving("serving", path).out, "threads 1\n");
}

TEST(MetricsEnvironmentTest, AFileThatIsNoSocketIsLeftAlone) {
  const Folder folder;
  const std::string path = folder / "precious";
  close(creat(path.c_str(), 0600));
  const ProgramResult r = Serving("serving", path);
  EXPECT_EQ(r.out, "threads 0\n");
  EXPECT_THAT(r.err, HasSubstr("Address already in use"));
  EXPECT_TRUE(std::filesystem::exists(path));
}

// The child of a fork neither keeps the parent's address in use, nor removes it when it exits.
TEST(MetricsEnvironmentTest, AForkedChildHasNoPartInIt) {
  const Folder folder;
  const std::string path = folder / "socket";
  const ProgramResult r = Serving("serving", path, {path, "fork"});
  EXPECT_EQ(r.out, "threads 1\nmode 600\nchild's sockets 0\nthere after the child\n") << r.err;
}

}  // namespace

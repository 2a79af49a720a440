// Runs one of tests/programs and tells how it ended: for properties that end a process.

#ifndef URGE_TESTS_SUPPORT_PROGRAM_H_
#define URGE_TESTS_SUPPORT_PROGRAM_H_

#include <string>
#include <vector>

namespace urge::test {

struct ProgramResult {
  int exit_status = -1;  // -1: ended by a signal
  int signal = 0;        // 0: exited
  bool timed_out = false;
  std::string out;
  std::string err;
};

struct ProgramOptions {
  std::vector<std::string> args{};
  std::vector<std::string> environment{};  // "NAME=value"; URGE_… of this process isn't inherited
  int send_signal = 0;                     // sent once the program has printed to stdout
  int timeout_s = 30;
};

// The program of that name in $URGE_TEST_PROGRAMS, or in ../programs as seen from the test. Errors:
// std::runtime_error.
ProgramResult RunProgram(const std::string& name, const ProgramOptions& options = {});

}  // namespace urge::test

#endif  // URGE_TESTS_SUPPORT_PROGRAM_H_

// Running a program and keeping what it printed.

#ifndef URGE_TESTS_STRESS_COMMAND_H_
#define URGE_TESTS_STRESS_COMMAND_H_

#include <string>
#include <vector>

namespace urge_test {

struct CommandResult {
  int status = -1;  // exit status; 128 + number if a signal ended it
  std::string out;
  std::string err;
};

// Runs the program with the arguments and waits for it. `program` is a path, or relative to the
// build directory ($URGE_BUILD_DIR).
CommandResult RunCommand(const std::string& program, const std::vector<std::string>& arguments);

}  // namespace urge_test

#endif  // URGE_TESTS_STRESS_COMMAND_H_

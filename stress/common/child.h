// Running a part of a program in a process of its own.
//
// The runtime starts once in a process and never stops, so two set-ups to be compared need two
// processes. The program starts itself again with an extra argument and reads what the child writes
// to a pipe.

#ifndef URGE_STRESS_COMMON_CHILD_H_
#define URGE_STRESS_COMMON_CHILD_H_

#include <chrono>
#include <string>
#include <vector>

namespace stress {

struct ChildResult {
  std::string output;   // what the child wrote to its result descriptor
  std::string failure;  // empty if it ended with status 0 in time; else what happened
};

// Runs this very program with `arguments` and "--result-fd=N" added, and waits for its end. A child
// that takes longer than `limit` is killed.
// Errors: std::system_error when no process can be made.
ChildResult RunSelf(const std::vector<std::string>& arguments, std::chrono::nanoseconds limit);

// In the child: writes the result.
void WriteResult(int result_fd, const std::string& output);

}  // namespace stress

#endif  // URGE_STRESS_COMMON_CHILD_H_

// A file that an option names. It is opened before the work begins, so that a name that is no good
// is found out at once rather than after it.

#ifndef URGE_STRESS_COMMON_OUTPUT_FILE_H_
#define URGE_STRESS_COMMON_OUTPUT_FILE_H_

#include <fstream>
#include <functional>
#include <ostream>
#include <string>

namespace stress {

class OutputFile {
 public:
  // `option`: "fairness: --json", say; opens every error line. An empty path means that the option
  // was not given. Leaves the process with status 2 if the file can't be opened.
  OutputFile(std::string option, const std::string& path);

  // Fills the file, if there is one. False, after a line on standard error, if that failed.
  bool Write(const std::function<void(std::ostream&)>& fill);

 private:
  const std::string option_, path_;
  std::ofstream file_;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_OUTPUT_FILE_H_

// Opening and filling output files.

#include "stress/common/output_file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "stress/common/args.h"

namespace stress {

OutputFile::OutputFile(std::string option, const std::string& path)
    : option_(std::move(option)), path_(path) {
  if (path_.empty()) return;
  file_.open(path_);
  if (file_) return;
  std::cerr << option_ << ": '" << path_ << "': " << std::strerror(errno)
            << "; a file that can be written is needed\n";
  std::exit(kExitUsage);
}

bool OutputFile::Write(const std::function<void(std::ostream&)>& fill) {
  if (path_.empty()) return true;
  fill(file_);
  file_.close();
  if (file_) return true;
  std::cerr << option_ << ": writing '" << path_ << "' failed\n";
  return false;
}

}  // namespace stress

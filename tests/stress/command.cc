// Running a program: fork, exec, and two temporary files for its output.

#include "tests/stress/command.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace urge_test {
namespace {

std::string Contents(FILE* file) {
  std::string text;
  std::rewind(file);
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, file)) text.append(buffer, n);
  return text;
}

}  // namespace

CommandResult RunCommand(const std::string& program, const std::vector<std::string>& arguments) {
  const char* build_dir = std::getenv("URGE_BUILD_DIR");
  std::string path = program.starts_with("/")
                         ? program
                         : std::string(build_dir ? build_dir : "build/release") + "/" + program;
  std::vector<std::string> words = {path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  FILE* const out = std::tmpfile();
  FILE* const err = std::tmpfile();
  CommandResult result;
  if (out == nullptr || err == nullptr) return result;
  const pid_t child = fork();
  if (child == 0) {
    dup2(fileno(out), STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = Contents(out);
  result.err = Contents(err);
  std::fclose(out);
  std::fclose(err);
  return result;
}

}  // namespace urge_test

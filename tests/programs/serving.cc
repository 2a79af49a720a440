// serving [PATH [fork]]: tells whether metrics are served, how the socket at PATH looks, and what a
// forked child has of it.

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <urge/urge.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

int ThreadsThatServe() {
  int n = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm") >> std::ws, name);
    n += name == "urge-metrics";
  }
  return n;
}

int Sockets() {
  int n = 0;
  for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
    struct stat status;
    n += stat(fd.path().c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
  }
  return n;
}

void InChild() {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    std::printf("child's sockets %d\n", Sockets());
    std::exit(0);  // with its exit handlers
  }
  waitpid(child, nullptr, 0);
}

}  // namespace

int main(int argc, char** argv) {
  urge::run([&] {
    std::printf("threads %d\n", ThreadsThatServe());
    if (argc > 1) {
      struct stat status;
      if (stat(argv[1], &status) == 0) std::printf("mode %o\n", status.st_mode & 0777);
    }
    if (argc > 2) {
      InChild();
      if (access(argv[1], F_OK) == 0) std::printf("there after the child\n");
    }
  });
}

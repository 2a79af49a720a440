#include "tests/support/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace urge::test {
namespace {

struct Pipe {
  int ends[2];
  Pipe() {
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  }
  ~Pipe() {
    close(ends[0]);
    if (ends[1] >= 0) close(ends[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void CloseWriter() {
    close(ends[1]);
    ends[1] = -1;
  }
};

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::int64_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

// A test that is started by hand finds them next to its own folder.
std::string ProgramsFolder() {
  if (const char* folder = std::getenv("URGE_TEST_PROGRAMS")) return folder;
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "programs";
}

}  // namespace

ProgramResult RunProgram(const std::string& name, const ProgramOptions& options) {
  const std::string path = ProgramsFolder() + "/" + name;
  std::vector<std::string> args = {path};
  args.insert(args.end(), options.args.begin(), options.args.end());
  std::vector<std::string> environment = options.environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "URGE_", 5) != 0) environment.emplace_back(*entry);
  }
  const std::vector<char*> argv = Pointers(args), envp = Pointers(environment);

  Pipe out, err;
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    const rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    // Shells start background jobs with SIGINT and SIGQUIT ignored.
    if (options.send_signal != 0) signal(options.send_signal, SIG_DFL);
    dup2(out.ends[1], STDOUT_FILENO);
    dup2(err.ends[1], STDERR_FILENO);
    execve(path.c_str(), argv.data(), envp.data());
    _exit(127);
  }
  out.CloseWriter();
  err.CloseWriter();

  ProgramResult result;
  int send_signal = options.send_signal;
  const std::int64_t deadline = NowMs() + options.timeout_s * 1000;
  pollfd fds[2] = {{out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}};
  std::string* const texts[2] = {&result.out, &result.err};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    const std::int64_t left = deadline - NowMs();
    if (left <= 0 || poll(fds, 2, static_cast<int>(left)) == 0) {
      result.timed_out = true;
      kill(child, SIGKILL);
      break;
    }
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t n = read(fds[i].fd, buffer, sizeof(buffer));
      if (n > 0) texts[i]->append(buffer, static_cast<std::size_t>(n));
      if (n == 0) fds[i].fd = -1;
      if (n > 0 && i == 0 && send_signal != 0) kill(child, std::exchange(send_signal, 0));
    }
  }
  int status;
  while (waitpid(child, &status, 0) < 0) {
  }
  if (WIFEXITED(status)) result.exit_status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  if (result.exit_status == 127) throw std::runtime_error("can't execute " + path);
  return result;
}

}  // namespace urge::test

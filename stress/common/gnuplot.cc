// Running gnuplot.

#include "stress/common/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace stress {
namespace {

constexpr char kHead[] =
    "set encoding utf8\n"
    "set grid back linetype 1 linecolor '#dcdcdc' linewidth 0.7\n"
    "set border 3 linecolor '#404040'\n"
    "set tics nomirror out\n";
constexpr char kSvg[] =
    "set terminal svg size 1000,620 dynamic font 'DejaVu Sans,14' background '#ffffff'\n";
constexpr char kPng[] =
    "set terminal pngcairo size 1500,930 font 'DejaVu Sans,16' linewidth 1.5 background "
    "'#ffffff'\n";

// Runs gnuplot in `directory`; true if it succeeds. What it says goes to standard error.
bool RunGnuplot(const std::string& directory, const std::string& script) {
  const char* argv[] = {"gnuplot", script.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t child = 0;
  const int error =
      posix_spawnp(&child, argv[0], &actions, nullptr, const_cast<char**>(argv), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return false;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

bool HaveGnuplot() {
  const char* path = std::getenv("PATH");
  std::istringstream directories(path == nullptr ? "/bin:/usr/bin" : path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (access((directory + "/gnuplot").c_str(), X_OK) == 0) return true;
  }
  return false;
}

std::string GnuplotQuote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    // Markup, which needs a backslash of its own.
    if (c == '_' || c == '^' || c == '@' || c == '{' || c == '}' || c == '&' || c == '~') {
      quoted += "\\\\";
    }
    quoted += c;
  }
  return quoted + '"';
}

Picture::Picture(std::string directory, std::string name)
    : directory_(std::move(directory)), name_(std::move(name)) {}

void Picture::Draw() {
  const std::string script = name_ + ".gnuplot";
  std::ofstream file(std::filesystem::path(directory_) / script);
  file << "# gnuplot " << script << "\n"
       << kHead << kSvg << "set output '" << name_ << ".svg'\n"
       << script_.str() << kPng << "set output '" << name_ << ".png'\nreplot\nset output\n";
  file.close();
  if (!file) throw std::runtime_error("writing " + script + " into '" + directory_ + "' failed");
  if (!RunGnuplot(directory_, script)) {
    throw std::runtime_error("gnuplot failed to draw " + script + " in '" + directory_ + "'");
  }
}

}  // namespace stress

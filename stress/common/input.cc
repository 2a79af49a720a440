// Reading the input file.

#include "stress/common/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stress/common/args.h"

namespace stress {
namespace {

// The last one always exists: the program itself.
constexpr const char* kUsualFiles[] = {"/usr/bin/bash", "/bin/bash", "/bin/sh", "/proc/self/exe"};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Input ReadInput(const std::string& path) {
  if (path.empty()) {
    for (const char* usual : kUsualFiles) {
      if (access(usual, R_OK) == 0) return ReadInput(usual);
    }
  }
  const auto fail = [&](const std::string& why) -> BadArgument {
    return BadArgument("'" + path + "': " + why + "; a readable file that isn't empty is needed");
  };
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) throw fail(strerror(errno));
  struct stat about;
  if (fstat(file.get(), &about) != 0) throw fail(strerror(errno));
  if (!S_ISREG(about.st_mode)) throw fail("not a regular file");
  Input input{path, std::string(kMaxInputBytes, '\0')};
  std::size_t have = 0;
  while (have < kMaxInputBytes) {
    const ssize_t n = read(file.get(), input.bytes.data() + have, kMaxInputBytes - have);
    if (n < 0 && errno != EINTR) throw fail(strerror(errno));
    if (n == 0) break;
    if (n > 0) have += static_cast<std::size_t>(n);
  }
  if (have == 0) throw fail("is empty");
  input.bytes.resize(have);
  return input;
}

}  // namespace stress

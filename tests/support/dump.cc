#include "tests/support/dump.h"

#include <sys/mman.h>
#include <unistd.h>
#include <urge/debug.h>

#include <cstdlib>

namespace urge::test {

std::string DumpText() {
  const int fd = memfd_create("dump", MFD_CLOEXEC);
  dump_goroutines(fd);
  std::string text(static_cast<std::size_t>(lseek(fd, 0, SEEK_END)), '\0');
  if (pread(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) abort();
  close(fd);
  return text;
}

}  // namespace urge::test

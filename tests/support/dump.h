// A dump of all goroutines as a string: for programs that wait until goroutines are in a state.

#ifndef URGE_TESTS_SUPPORT_DUMP_H_
#define URGE_TESTS_SUPPORT_DUMP_H_

#include <sys/mman.h>
#include <unistd.h>
#include <urge/debug.h>
#include <urge/time.h>

#include <chrono>
#include <cstdlib>
#include <string>

namespace urge::test {

// What urge::dump_goroutines writes. Inline: some tests are linked without urge.
inline std::string DumpText() {
  const int fd = memfd_create("dump", MFD_CLOEXEC);
  dump_goroutines(fd);
  std::string text(static_cast<std::size_t>(lseek(fd, 0, SEEK_END)), '\0');
  if (pread(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) std::abort();
  close(fd);
  return text;
}

// Sleeps until a dump has these words. Runs on: a goroutine.
inline void AwaitInDump(const char* words) {
  while (DumpText().find(words) == std::string::npos) sleep_for(std::chrono::milliseconds(1));
}

}  // namespace urge::test

#endif  // URGE_TESTS_SUPPORT_DUMP_H_

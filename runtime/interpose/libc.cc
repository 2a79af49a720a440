#include "runtime/interpose/libc.h"

#include <dlfcn.h>
#include <unistd.h>

#include <string_view>

#include "runtime/base/check.h"
#include "runtime/base/print.h"

namespace urge::interpose {

void* FromLibc(const char* name) {
  void* found = nullptr;
  // Condition variables of before 2002 have the same names and an older version.
  if (std::string_view(name).starts_with("pthread_cond_")) {
    found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
  }
  if (found == nullptr) found = dlsym(RTLD_NEXT, name);
  return found;
}

void FatalMissing(const char* name) {
  base::RawWriter(STDERR_FILENO) << "urge: libc has no " << name << "\n";
  base::Fatal(
      "can't stand in for a function that isn't there; a program without a dynamic linker "
      "needs liburge-plain.a");
}

}  // namespace urge::interpose

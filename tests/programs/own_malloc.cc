// A program with an allocator of its own, which everybody in it uses.

#include <urge/urge.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

extern "C" {
void* __libc_malloc(std::size_t n);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* data, std::size_t n);
void __libc_free(void* data);
}

namespace {
std::atomic<long> g_given{0}, g_taken{0};
}

extern "C" {
void* malloc(std::size_t n) {
  ++g_given;
  return __libc_malloc(n);
}
void* calloc(std::size_t n, std::size_t size) {
  ++g_given;
  return __libc_calloc(n, size);
}
void* realloc(void* data, std::size_t n) {
  ++g_given;
  return __libc_realloc(data, n);
}
void free(void* data) {
  ++g_taken;
  __libc_free(data);
}
}

int main() {
  long given = 0, taken = 0;
  urge::run([&] {
    given = g_given, taken = g_taken;
    urge::wait_group all;
    for (int g = 0; g < 4; ++g) {
      all.go([] {
        for (int i = 0; i < 100; ++i) {
          char* volatile block = new char[100 + i];  // or the compiler does without
          delete[] block;
        }
      });
    }
    all.wait();
    given = g_given - given, taken = g_taken - taken;
  });
  std::printf("%s\n", given >= 400 && taken >= 400 ? "its own" : "libc's");
}

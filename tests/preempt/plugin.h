// A small shared library that tests load, allow, call through and close; compiled by the test.

#ifndef URGE_TESTS_PREEMPT_PLUGIN_H_
#define URGE_TESTS_PREEMPT_PLUGIN_H_

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace urge::preempt {

// plugin_spin computes; plugin_call calls back; plugin_lazy calls libc through a PLT slot that is
// bound lazily. The empty asm statements prevent tail calls.
inline constexpr char kPluginSource[] = R"(
extern int abs(int);
int plugin_spin(int rounds) {
  int sum = 0;
  for (int i = 0; i < rounds; ++i) __asm__ volatile("" : "+r"(sum));
  return sum + rounds;
}
int plugin_call(int (*callback)(void*), void* argument) {
  int result = callback(argument);
  __asm__ volatile("" ::: "memory");
  return result;
}
int plugin_lazy(int value) {
  int result = abs(value);
  __asm__ volatile("" ::: "memory");
  return result;
}
)";

// Returns the path of preempt_plugin.so, or an empty string if it could not be compiled.
inline std::string BuildPlugin() {
  struct Built {
    Built() {
      char name[] = "/tmp/urge-plugin-XXXXXX";
      if (mkdtemp(name) == nullptr) return;
      folder = name;
      FILE* source = std::fopen((folder + "/plugin.c").c_str(), "w");
      if (source == nullptr) return;
      std::fputs(kPluginSource, source);
      std::fclose(source);
      const std::string command = "cc -O2 -fPIC -shared -fno-builtin -Wl,-z,lazy -o " + folder +
                                  "/preempt_plugin.so " + folder + "/plugin.c";
      if (std::system(command.c_str()) == 0) path = folder + "/preempt_plugin.so";
    }
    ~Built() {
      std::error_code ignored;
      if (!folder.empty()) std::filesystem::remove_all(folder, ignored);
    }
    std::string folder, path;
  };
  static const Built built;
  return built.path;
}

}  // namespace urge::preempt

#endif  // URGE_TESTS_PREEMPT_PLUGIN_H_

// start_options [FIELD VALUE]…: starts the runtime with these options and prints what came of it.

#include <urge/urge.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

int main(int argc, char** argv) {
  urge::options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view field = argv[i];
    const long value = std::atol(argv[i + 1]);
    if (field == "procs") options.procs = static_cast<int>(value);
    if (field == "slice_ns") options.slice = std::chrono::nanoseconds(value);
    if (field == "stack_size") options.stack_size = static_cast<std::size_t>(value);
    if (field == "max_stack") options.max_stack = static_cast<std::size_t>(value);
  }
  try {
    urge::start(options);
  } catch (const std::exception& e) {
    std::printf("%s\n", e.what());
    return 3;
  }
  const int procs = urge::run([] { return urge::procs(); });
  std::printf("started, procs %d\n", procs);
}

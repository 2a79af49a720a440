// The file that hogs compress, hash and search.

#ifndef URGE_STRESS_COMMON_INPUT_H_
#define URGE_STRESS_COMMON_INPUT_H_

#include <cstddef>
#include <string>

namespace stress {

// More than this of a file is not used, so that each hog gets through it several times in a run.
inline constexpr std::size_t kMaxInputBytes = std::size_t{4} << 20;

struct Input {
  std::string path;
  std::string bytes;
};

// The named file, or one that every machine has if `path` is empty.
// Errors: BadArgument if it can't be read, is no regular file, or is empty.
Input ReadInput(const std::string& path);

}  // namespace stress

#endif  // URGE_STRESS_COMMON_INPUT_H_

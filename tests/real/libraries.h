// Work of real libraries that never heard of goroutines: each returns a digest of all that came
// out.

#ifndef URGE_TESTS_REAL_LIBRARIES_H_
#define URGE_TESTS_REAL_LIBRARIES_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace urge::real {

// In the sanitizers' builds nobody stands in for pthread's locks: what locks is used by one
// goroutine at a time there.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kLocksWork = false;
#else
inline constexpr bool kLocksWork = true;
#endif

struct Library {
  std::string_view name;
  std::string_view module;  // for urge::allow_preemption
  // Throws std::runtime_error when the library reports an error.
  std::uint64_t (*work)(std::uint64_t seed);
  int copies;  // how many may run at a time
};

std::span<const Library> Libraries();

// The same text for the same seed: words, so that it can be compressed.
std::string Text(std::uint64_t seed, std::size_t bytes);
std::uint64_t Digest(std::string_view bytes, std::uint64_t start = 14695981039346656037u);

// One SQLite connection that all use. Throws std::runtime_error as above.
class SharedDatabase {
 public:
  SharedDatabase();
  ~SharedDatabase();
  void Add(int who, int n);  // a row
  std::string Sums();        // "who:rows:sum of n", in order of who, separated by spaces
 private:
  void* db_;
};

// An endless Lua script that counts; ends with an error once `stop` is set and it is asked to look.
class EndlessScript {
 public:
  EndlessScript();
  ~EndlessScript();
  void Run();            // returns when stopped
  void Stop();           // of another goroutine; the script may be anywhere
  double count() const;  // Requires: Run has returned.
 private:
  void* state_;
};

}  // namespace urge::real

#endif  // URGE_TESTS_REAL_LIBRARIES_H_

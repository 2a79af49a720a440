// Every call of the system that can fail fails in turn: the runtime reports it or does without, and
// never hangs, crashes or loses a goroutine. tests/programs/faults.cc says what counts as which.

// Under a sanitizer the calls are its own as well, and it ends the process when one fails.
// skip: asan tsan

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/support/program.h"

namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using urge::test::ProgramResult;
using urge::test::RunProgram;

bool Full() {
  const char* extent = std::getenv("URGE_PROVE");
  return extent != nullptr && std::string_view(extent) == "full";
}

class FaultTest : public ::testing::TestWithParam<const char*> {
 protected:
  // Returns whether there were so many calls.
  bool FailsWell(long n, bool and_later) {
    const std::string function = GetParam();
    std::vector<std::string> args = {function, std::to_string(n)};
    if (and_later) args.push_back("on");
    const ProgramResult r = RunProgram("faults", {.args = args, .timeout_s = 60});
    SCOPED_TRACE(function + " " + std::to_string(n) + (and_later ? " on" : "") + "\n" + r.out +
                 r.err);
    EXPECT_FALSE(r.timed_out);
    EXPECT_THAT(r.exit_status, AnyOf(0, 2, 4)) << "signal " << r.signal;
    if (r.exit_status == 2) {
      EXPECT_THAT(r.err, HasSubstr("fatal error: "));
    } else {
      EXPECT_THAT(r.out, AnyOf(HasSubstr("done"), HasSubstr("refused")));
    }
    return r.exit_status != 4 && !HasFailure();
  }
};

TEST_P(FaultTest, EachCallInTurn) {
  const std::string_view function = GetParam();
  // Thousands of allocations in the full run, a sample of them otherwise.
  const bool many = function == "new" && !Full();
  long calls = 0;
  for (long n = 1; FailsWell(n, false); n += many ? 1 + n / 4 : 1) calls = n;
  std::printf("%s: %ld calls\n", GetParam(), calls);
}

TEST_P(FaultTest, FromEachCallOn) {
  const std::string_view function = GetParam();
  const bool many = function == "new" && !Full();
  for (long n = 1; FailsWell(n, true); n += many ? 1 + n / 2 : 1) {
  }
}

INSTANTIATE_TEST_SUITE_P(Of, FaultTest,
                         ::testing::Values("mmap", "madvise", "mprotect", "clone", "sigaltstack",
                                           "sigaction", "timer_create", "timer_settime",
                                           "membarrier", "tgsigqueueinfo", "new"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace

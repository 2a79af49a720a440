// Calls that nobody can interrupt, and where much time is spent, end with a look whether somebody
// waits; and they are libc's in every other respect.
//
// Nothing is stood in for in the sanitizers' builds.
// skip: asan tsan

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <string>

#include <urge/urge.h>

#include "tests/support/program.h"
#include "tests/testing/procs.h"

namespace urge {
namespace {

class EndsTest : public testing::ProcsTest {};
URGE_TEST_AT_PROCS(EndsTest);

// Runs goroutines that do nothing but `call`, uninstrumented, until some were stopped without a
// signal: by the end of a call then, for there are no prologues that check.
template <class Call>
void ExpectStopsAtTheEnd(Call call) {
  constexpr std::uint64_t kStops = 5;
  const std::uint64_t before = read_metrics().acks_prologue;
  const auto enough = [&] { return read_metrics().acks_prologue - before >= kStops; };
  run([&] {
    std::atomic<bool> stop{false};
    wait_group all;
    for (int g = 0; g < 2 * procs(); ++g) {
      all.go([&] {
        while (!stop.load(std::memory_order_relaxed)) {
          for (int i = 0; i < 100; ++i) call();
          if (enough()) stop = true;
        }
      });
    }
    all.wait();
  });
}

TEST_P(EndsTest, WhoLivesInMallocIsStoppedAsItEnds) {
  ExpectStopsAtTheEnd([] {
    void* volatile block = std::malloc(200);
    std::free(block);
  });
}

TEST_P(EndsTest, WhoLivesInOperatorNewIsStoppedAsItEnds) {
  ExpectStopsAtTheEnd([] {
    char* volatile block = new char[200];
    delete[] block;
  });
}

TEST_P(EndsTest, WhoLivesInFormattingIsStoppedAsItEnds) {
  ExpectStopsAtTheEnd([] {
    char text[64];
    std::snprintf(text, sizeof(text), "%d %s %.3f", 1, "words", 0.37);
  });
}

TEST_P(EndsTest, WhoLivesInStdioIsStoppedAsItEnds) {
  std::FILE* file = std::fopen("/dev/null", "w");
  ASSERT_NE(file, nullptr);
  ExpectStopsAtTheEnd([file] {
    std::fwrite("0123456789", 1, 10, file);
    std::fprintf(file, "%d", 7);
  });
  std::fclose(file);
}

TEST_P(EndsTest, WhoLivesInParsingIsStoppedAsItEnds) {
  ExpectStopsAtTheEnd([] {
    if (std::strtod("123.456e7", nullptr) != 123.456e7) std::abort();
    if (std::strtol("-77", nullptr, 10) != -77) std::abort();
  });
}

[[gnu::format(printf, 3, 4)]] int ByList(char* out, std::size_t n, const char* format, ...) {
  va_list rest;
  va_start(rest, format);
  const int result = std::vsnprintf(out, n, format, rest);
  va_end(rest);
  return result;
}

// More arguments of each class than there are registers.
#define MANY_ARGUMENTS                                                                          \
  "%d %s %g %ld %c %g %u %g %x %g %d %g %d %g %d %g %d %g %d %g %.2Lf", 1, "two", 3.5, 4L, '5', \
      6.5, 7u, 8.5, 9u, 10.5, 11, 12.5, 13, 14.5, 15, 16.5, 17, 18.5, 19, 20.5, 21.25L

TEST_P(EndsTest, VariableArgumentsArriveWhole) {
  constexpr const char* kExpected =
      "1 two 3.5 4 5 6.5 7 8.5 9 10.5 11 12.5 13 14.5 15 16.5 17 18.5 19 20.5 21.25";
  const int length = static_cast<int>(std::strlen(kExpected));
  run([&] {
    char text[200];
    EXPECT_EQ(std::snprintf(text, sizeof(text), MANY_ARGUMENTS), length);
    EXPECT_STREQ(text, kExpected);
    EXPECT_EQ(std::sprintf(text, MANY_ARGUMENTS), length);
    EXPECT_STREQ(text, kExpected);
    std::size_t room = 6;
    asm volatile("" : "+r"(room));  // or the compiler warns that it is too little
    EXPECT_EQ(ByList(text, room, MANY_ARGUMENTS), length);
    EXPECT_STREQ(text, "1 two");
    std::FILE* file = std::tmpfile();
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(std::fprintf(file, MANY_ARGUMENTS), length);
    std::rewind(file);
    EXPECT_NE(std::fgets(text, sizeof(text), file), nullptr);
    EXPECT_STREQ(text, kExpected);
    std::fclose(file);

    int a, b, c, d, e;
    double x;
    char word[10];
    EXPECT_EQ(
        std::sscanf("1 2 3 4 5 6.5 seven", "%d %d %d %d %d %lf %9s", &a, &b, &c, &d, &e, &x, word),
        7);
    EXPECT_EQ(a + b + c + d + e, 15);
    EXPECT_EQ(x, 6.5);
    EXPECT_STREQ(word, "seven");
  });
}

TEST_P(EndsTest, MemoryIsAsItWasAskedFor) {
  run([] {
    for (const std::size_t n : {1, 100, 100'000}) {
      auto* zeros = static_cast<char*>(std::calloc(n, 3));
      ASSERT_NE(zeros, nullptr);
      for (std::size_t i = 0; i < 3 * n; ++i) ASSERT_EQ(zeros[i], 0);
      zeros[n - 1] = 'x';
      zeros = static_cast<char*>(std::realloc(zeros, 10 * n));
      EXPECT_EQ(zeros[n - 1], 'x');
      EXPECT_GE(malloc_usable_size(zeros), 10 * n);
      std::free(zeros);
      for (std::size_t alignment = 16; alignment <= 4096; alignment *= 4) {
        void* blocks[3] = {std::aligned_alloc(alignment, n * alignment), memalign(alignment, n),
                           nullptr};
        EXPECT_EQ(posix_memalign(&blocks[2], alignment, n), 0);
        for (void* block : blocks) {
          EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0u);
          std::free(block);
        }
      }
    }
    std::free(nullptr);
  });
}

TEST(OwnMallocTest, AProgramsOwnAllocatorStays) {
  const test::ProgramResult r = test::RunProgram("own_malloc", {});
  EXPECT_EQ(r.out, "its own\n") << r.err;
}

TEST_P(EndsTest, FailuresAreToldByErrno) {
  run([] {
    volatile std::size_t too_much = PTRDIFF_MAX;
    errno = 0;
    EXPECT_EQ(std::malloc(too_much), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_THROW(static_cast<void>(::operator new(too_much)), std::bad_alloc);
    errno = 0;
    EXPECT_EQ(std::strtol("99999999999999999999", nullptr, 10), LONG_MAX);
    EXPECT_EQ(errno, ERANGE);
  });
}

}  // namespace
}  // namespace urge

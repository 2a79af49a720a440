// Stacks: sizes, guards, and giving memory back.

#include "runtime/sched/stack.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <vector>

#include "runtime/base/config.h"

namespace {

using namespace urge::sched;
using urge::base::kPageBytes;

std::size_t ResidentBytes(StackSpan span) {
  std::vector<unsigned char> pages(span.size() / kPageBytes);
  EXPECT_EQ(mincore(reinterpret_cast<void*>(span.lo), span.size(), pages.data()), 0);
  std::size_t resident = 0;
  for (const unsigned char page : pages) resident += page & 1;
  return resident * kPageBytes;
}

void Touch(StackSpan span, std::size_t bytes_from_top) {
  for (std::size_t at = 1; at <= bytes_from_top; at += kPageBytes) {
    *reinterpret_cast<volatile char*>(span.hi - at) = 1;
  }
}

TEST(StackTest, HasTheSizeAskedForAndIsPageAligned) {
  for (const std::size_t bytes :
       {urge::base::kMinStackBytes, std::size_t{64} << 10, urge::base::kStackBytes,
        std::size_t{1} << 20, std::size_t{64} << 20}) {
    const StackSpan span = AllocateStack(bytes);
    ASSERT_FALSE(span.empty());
    EXPECT_EQ(span.size(), bytes);
    EXPECT_EQ(span.lo % kPageBytes, 0u);
    EXPECT_EQ(ResidentBytes(span), 0u) << "committed before it is touched";
    Touch(span, bytes < (1 << 20) ? bytes : 1 << 20);
    if (bytes != StandardStackBytes()) FreeStack(span);
  }
}

TEST(StackTest, StacksDoNotOverlapNorTouch) {
  std::vector<StackSpan> spans;
  for (int i = 0; i < 300; ++i) spans.push_back(AllocateStack(StandardStackBytes()));
  std::sort(spans.begin(), spans.end(), [](auto a, auto b) { return a.lo < b.lo; });
  for (std::size_t i = 1; i < spans.size(); ++i) {
    EXPECT_GE(spans[i].lo, spans[i - 1].hi + kPageBytes);
  }
}

using StackDeathTest = ::testing::Test;

TEST(StackDeathTest, TheGuardFaults) {
  for (const std::size_t bytes : {StandardStackBytes(), std::size_t{32} << 10}) {
    const StackSpan span = AllocateStack(bytes);
    *reinterpret_cast<volatile char*>(span.lo) = 1;
    *reinterpret_cast<volatile char*>(span.hi - 1) = 1;
    EXPECT_TRUE(InGuard(span, span.lo - 1));
    EXPECT_TRUE(InGuard(span, span.lo - kPageBytes));
    EXPECT_FALSE(InGuard(span, span.lo));
    EXPECT_FALSE(InGuard(span, span.lo - kPageBytes - 1));
    // By SIGSEGV, or by the report of a sanitizer that has caught that.
    EXPECT_DEATH((*reinterpret_cast<volatile char*>(span.lo - 1) = 1), "");
    EXPECT_DEATH((*reinterpret_cast<volatile char*>(span.lo - kPageBytes) = 1), "");
  }
}

TEST(StackTest, TrimmingGivesDeepPagesBackAndKeepsTheTop) {
  const StackSpan span = AllocateStack(StandardStackBytes());
  Touch(span, span.size());
  auto* top = reinterpret_cast<char*>(span.hi - urge::base::kStackKeepBytes);
  std::memset(top, 0x5a, urge::base::kStackKeepBytes);
  ASSERT_EQ(ResidentBytes(span), span.size());
  TrimStack(span);
  EXPECT_EQ(ResidentBytes(span), urge::base::kStackKeepBytes);
  for (std::size_t i = 0; i < urge::base::kStackKeepBytes; ++i) ASSERT_EQ(top[i], 0x5a);
  TrimStack(span);  // nothing left to give
  EXPECT_EQ(ResidentBytes(span), urge::base::kStackKeepBytes);
}

TEST(StackTest, AnAbsurdSizeIsRefused) { EXPECT_TRUE(AllocateStack(std::size_t{1} << 60).empty()); }

}  // namespace

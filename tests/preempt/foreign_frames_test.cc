// A goroutine may be switched off only if no foreign frame lies below it. Each test runs on a stack
// with a bottom of its own, as a goroutine does.

#include "runtime/preempt/foreign_frames.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <search.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "tests/preempt/on_stack.h"
#include "tests/preempt/plugin.h"

namespace urge::preempt {
namespace {

TestStack stack;
ForeignFrames found;

[[gnu::noinline]] void Look() {
  const WalkStart start = CaptureHere();
  const StackRange ranges[] = {stack.range()};
  found = FindForeignFrames(start, ranges, true);
}

std::string ForeignSymbol() { return PreemptionMap::Describe(found.pc - 1).symbol; }

[[gnu::noinline]] void LookDeeply(int depth) {
  if (depth == 0) {
    Look();
  } else {
    LookDeeply(depth - 1);
  }
  asm volatile("" ::: "memory");
}

int Compare(const void* a, const void* b) {
  Look();
  return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

class ForeignFramesTest : public testing::Test {
 protected:
  void SetUp() override {
    PreemptionMap::Rebuild();
    found = ForeignFrames();
  }
};

TEST_F(ForeignFramesTest, OwnFramesAreClear) {
  stack.Run([] { LookDeeply(100); });
  EXPECT_EQ(found.verdict, ForeignVerdict::kClear);
  EXPECT_EQ(found.end, WalkEnd::kEndOfStack);
  EXPECT_GT(found.frames, 100);
}

TEST_F(ForeignFramesTest, TemplatesOfTheStandardLibraryAreOwn) {
  stack.Run([] {
    std::vector<int> values = {3, 1, 2};
    std::sort(values.begin(), values.end(), [](int a, int b) {
      Look();
      return a < b;
    });
    std::function<void()> function = &Look;
    function();
  });
  EXPECT_EQ(found.verdict, ForeignVerdict::kClear);
}

TEST_F(ForeignFramesTest, ComparatorOfQsortIsBoundToItsThread) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers have a qsort of their own";
#endif
  stack.Run([] {
    int values[] = {3, 1, 2};
    qsort(values, 3, sizeof(int), &Compare);
  });
  EXPECT_EQ(found.verdict, ForeignVerdict::kClear);
  const TextDescription bound = PreemptionMap::Describe(found.bound_begin);
  EXPECT_NE(bound.module.find("libc.so"), std::string::npos);
  EXPECT_EQ(bound.symbol, "qsort_r");
}

TEST_F(ForeignFramesTest, ComparatorsOfSearchesAreClear) {
  stack.Run([] {
    const int values[] = {1, 2, 3}, key = 2;
    EXPECT_EQ(bsearch(&key, values, 3, sizeof(int), &Compare), values + 1);
    EXPECT_EQ(found.verdict, ForeignVerdict::kClear);
    EXPECT_EQ(found.bound_begin, 0u);
    found = ForeignFrames();
    std::size_t count = 3;
    EXPECT_EQ(lfind(&key, values, &count, sizeof(int), &Compare), values + 1);
  });
  EXPECT_EQ(found.verdict, ForeignVerdict::kClear);
}

TEST_F(ForeignFramesTest, CallbackAtExitHolds) {
  EXPECT_EXIT(stack.Run([] {
    std::atexit([] {
      Look();
      _exit(found.verdict == ForeignVerdict::kHoldsForeign ? 0 : 1);
    });
    std::exit(2);
  }),
              testing::ExitedWithCode(0), "");
}

TEST_F(ForeignFramesTest, CallbackUnderTheLoadersLockHolds) {
  stack.Run([] {
    dl_iterate_phdr(
        [](dl_phdr_info*, size_t, void*) {
          Look();
          return 1;
        },
        nullptr);
  });
  EXPECT_EQ(found.verdict, ForeignVerdict::kHoldsForeign);
  EXPECT_NE(ForeignSymbol().find("dl_iterate_phdr"), std::string::npos) << ForeignSymbol();
}

TEST_F(ForeignFramesTest, CallOnceHoldsThroughPthreadOnce) {
  stack.Run([] {
    std::once_flag once;
    std::call_once(once, [] { Look(); });
  });
  EXPECT_EQ(found.verdict, ForeignVerdict::kHoldsForeign);
}

TEST_F(ForeignFramesTest, CalleeOfADeniedFunctionHolds) {
  PreemptionMap::DenySymbols("*LookDeeply*");
  stack.Run([] { LookDeeply(0); });
  EXPECT_EQ(found.verdict, ForeignVerdict::kHoldsForeign);
  EXPECT_EQ(found.kind, TextKind::kDenied);
  EXPECT_NE(ForeignSymbol().find("LookDeeply"), std::string::npos);
}

TEST_F(ForeignFramesTest, CallbackOfAModuleHoldsUntilItIsAllowed) {
  void* plugin = dlopen(BuildPlugin().c_str(), RTLD_NOW);
  ASSERT_NE(plugin, nullptr) << dlerror();
  const auto call = reinterpret_cast<int (*)(int (*)(void*), void*)>(dlsym(plugin, "plugin_call"));
  const auto look = [call] {
    call(
        [](void*) {
          Look();
          return 0;
        },
        nullptr);
  };
  stack.Run(look);
  EXPECT_EQ(found.verdict, ForeignVerdict::kHoldsForeign);
  EXPECT_EQ(found.kind, TextKind::kUnknown);  // not rebuilt since it was loaded
  PreemptionMap::Rebuild();
  stack.Run(look);
  EXPECT_EQ(found.verdict, ForeignVerdict::kHoldsForeign);
  EXPECT_EQ(found.kind, TextKind::kOpaque);
  PreemptionMap::AllowModule("preempt_plugin.so");
  stack.Run(look);
  EXPECT_EQ(found.verdict, ForeignVerdict::kClear);
  dlclose(plugin);
}

TEST_F(ForeignFramesTest, AStackWhoseBottomIsNotFoundIsNotClear) {
  const WalkStart start = CaptureHere();
  const StackRange ranges[] = {{start.rsp, start.rsp + 32}};
  EXPECT_EQ(FindForeignFrames(start, ranges, true).verdict, ForeignVerdict::kUnwalkable);
}

}  // namespace
}  // namespace urge::preempt

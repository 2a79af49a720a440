// morestack_test.cc: instrumented code computes the same with every prologue in the slow path, in
// place or on new segments, as with none.
// alone: asm/x86_64/switch.S
//
// Its segments are stacks that nobody announces to the address sanitizer.
// skip: asan

#include "asm/morestack.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unwind.h>

#include <cstdlib>

#include "tests/asm/morestack_cases.h"

namespace urge::test {
namespace {

constexpr std::uint64_t kPoison = 0xfffffffffffffade;
constexpr std::size_t kSegmentBytes = 4 << 20;
constexpr int kSegments = 64;

enum class Answer { kInPlace, kNewSegment };

// The test double of the runtime. Segments nest like calls.
struct Double {
  Answer answer = Answer::kInPlace;
  char* segments = nullptr;
  int depth = 0;
  std::uint64_t newstacks = 0;
  std::uint64_t oldstacks = 0;
  std::uint64_t blocks = 0;
  bool mismatch = false;
} runtime;

void SetGuard(std::uint64_t guard) {
  __asm__ volatile("movq %0, %%fs:0x70" ::"r"(guard) : "memory");
}

[[gnu::target("avx512f,avx512bw")]] void ScribbleAvx512() {
  __asm__ volatile(
      "vpternlogd $0xff, %%zmm0, %%zmm0, %%zmm0\n"
      ".irp n,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
      "vmovdqa64 %%zmm0, %%zmm\\n\n"
      ".endr\n"
      ".irp n,0,1,2,3,4,5,6,7\n"
      "kxnorq %%k\\n, %%k\\n, %%k\\n\n"
      ".endr\n" ::
          : "memory");
}

// What a C function may ruin.
void Scribble() {
  if (__builtin_cpu_supports("avx512bw")) ScribbleAvx512();
  __asm__ volatile(
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
      "pcmpeqd %%xmm\\n, %%xmm\\n\n"
      ".endr\n"
      ".irp r,rax,rcx,rdx,rsi,rdi,r8,r9,r10,r11\n"
      "movq $0x5ca1ab1e, %%\\r\n"
      ".endr\n" ::
          : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}

class MorestackTest : public testing::TestWithParam<MorestackCase> {
 protected:
  void SetUp() override {
    const char* needs = GetParam().needs;
    if (needs != nullptr && !__builtin_cpu_supports("avx512bw")) GTEST_SKIP() << "needs " << needs;
    runtime = {};
    runtime.segments =
        static_cast<char*>(mmap(nullptr, kSegments * kSegmentBytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    ASSERT_NE(runtime.segments, MAP_FAILED);
  }
  void TearDown() override {
    SetGuard(0);
    if (runtime.segments != nullptr) munmap(runtime.segments, kSegments * kSegmentBytes);
  }
  std::uint64_t RunPoisoned() {
    SetGuard(kPoison);
    const std::uint64_t digest = GetParam().run();
    SetGuard(0);
    return digest;
  }
};

TEST_P(MorestackTest, ResumesInPlaceWithAllArguments) {
  const std::uint64_t want = GetParam().run();
  EXPECT_EQ(runtime.newstacks, 0u);
  EXPECT_EQ(RunPoisoned(), want);
  EXPECT_GT(runtime.newstacks, 0u);
  EXPECT_FALSE(runtime.mismatch);
}

TEST_P(MorestackTest, RunsOnNewSegments) {
  const std::uint64_t want = GetParam().run();
  runtime.answer = Answer::kNewSegment;
  EXPECT_EQ(RunPoisoned(), want);
  EXPECT_GT(runtime.newstacks, 0u);
  EXPECT_EQ(runtime.newstacks, runtime.oldstacks);
  EXPECT_EQ(runtime.depth, 0);
  EXPECT_FALSE(runtime.mismatch);
}

std::vector<MorestackCase> NestedCases() {
  return {{"Nested", MorestackNested, nullptr}, {"NestedVarargs", MorestackNestedVarargs, nullptr}};
}

std::string NameOf(const testing::TestParamInfo<MorestackCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Gcc, MorestackTest, testing::ValuesIn(GccCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Clang, MorestackTest, testing::ValuesIn(ClangCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(StaticChain, MorestackTest, testing::ValuesIn(NestedCases()), NameOf);

}  // namespace
}  // namespace urge::test

extern "C" {

void* urge_newstack(urge_morestack_args* args) {
  using namespace urge::test;
  ++runtime.newstacks;
  // The byte at return_pc is the `ret`.
  if (*reinterpret_cast<unsigned char*>(args->return_pc) != 0xc3) runtime.mismatch = true;
  if (reinterpret_cast<std::uint64_t>(args) > args->sp_at_entry) runtime.mismatch = true;
  void* top = nullptr;
  if (runtime.answer == Answer::kNewSegment) {
    if (++runtime.depth >= kSegments || args->frame_size + (64 << 10) > kSegmentBytes) std::abort();
    top = runtime.segments + static_cast<std::size_t>(runtime.depth) * kSegmentBytes;
  }
  Scribble();
  return top;
}

void urge_oldstack() {
  using namespace urge::test;
  ++runtime.oldstacks;
  --runtime.depth;
  Scribble();
}

void* urge_stackspace(std::size_t, std::uint64_t) {
  using namespace urge::test;
  ++runtime.blocks;
  Scribble();
  return nullptr;
}

}  // extern "C"

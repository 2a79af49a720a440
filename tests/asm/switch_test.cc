// switch_test.cc: urge_switch and the bottom frame keep their promises to a context.
// alone: asm/x86_64/switch.S asm/x86_64/entry.S runtime/preempt/xstate.cc

#include "asm/switch.h"

#include <gtest/gtest.h>
#include <unwind.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/preempt/xstate.h"

namespace {

struct Fiber {
  void* sp = nullptr;
  void* main_sp = nullptr;
  std::vector<int> log;
  bool ended = false;
  alignas(64) char stack[256 << 10];

  void Start(void (*body)(void*)) { sp = urge_make_context(stack + sizeof stack, body, this); }
  void Resume(void (*after)(void*) = nullptr) { urge_switch(&main_sp, sp, after, this); }
  void Suspend(void (*after)(void*) = nullptr) { urge_switch(&sp, main_sp, after, this); }
  bool Holds(const void* p) const { return p >= stack && p < stack + sizeof stack; }
};

Fiber fiber;
Fiber* ending = nullptr;

class SwitchTest : public testing::Test {
 protected:
  void SetUp() override {
    fiber.log.clear();
    fiber.ended = false;
    ending = &fiber;
  }
};

TEST_F(SwitchTest, StartsOnAnAlignedStackAndEndsInGoexit0) {
  fiber.Start([](void* p) {
    auto* f = static_cast<Fiber*>(p);
    alignas(16) char local[16];
    f->log.push_back(f->Holds(local));
    f->log.push_back(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) % 16 == 0);
    f->Suspend();
    f->log.push_back(2);
  });
  fiber.Resume();
  EXPECT_EQ(fiber.log, (std::vector<int>{1, 1}));
  EXPECT_FALSE(fiber.ended);
  fiber.Resume();
  EXPECT_EQ(fiber.log, (std::vector<int>{1, 1, 2}));
  EXPECT_TRUE(fiber.ended);
}

TEST_F(SwitchTest, KeepsCalleeSavedRegisters) {
  fiber.Start([](void* p) {
    auto* f = static_cast<Fiber*>(p);
    for (;;) {
      __asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15");
      register std::uint64_t r12 __asm__("r12") = 1;
      register std::uint64_t r13 __asm__("r13") = 2;
      register std::uint64_t r14 __asm__("r14") = 3;
      register std::uint64_t r15 __asm__("r15") = 4;
      __asm__ volatile("" : "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15));
      f->Suspend();
    }
  });
  std::uint64_t wrong = 0;
  for (int i = 0; i < 3; ++i) {
    register std::uint64_t rbx __asm__("rbx") = 0xb0 + i;
    register std::uint64_t r12 __asm__("r12") = 0xc0 + i;
    register std::uint64_t r13 __asm__("r13") = 0xd0 + i;
    register std::uint64_t r14 __asm__("r14") = 0xe0 + i;
    register std::uint64_t r15 __asm__("r15") = 0xf0 + i;
    __asm__ volatile("call urge_switch"
                     : "+r"(rbx), "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15)
                     : "D"(&fiber.main_sp), "S"(fiber.sp), "d"(nullptr), "c"(nullptr)
                     : "rax", "r8", "r9", "r10", "r11", "memory", "cc");
    wrong |= (rbx ^ (0xb0 + i)) | (r12 ^ (0xc0 + i)) | (r13 ^ (0xd0 + i)) | (r14 ^ (0xe0 + i)) |
             (r15 ^ (0xf0 + i));
  }
  EXPECT_EQ(wrong, 0u);
}

std::uint32_t Mxcsr() {
  std::uint32_t value;
  __asm__ volatile("stmxcsr %0" : "=m"(value));
  return value & URGE_MXCSR_CONTROL;
}
std::uint16_t Fcw() {
  std::uint16_t value;
  __asm__ volatile("fnstcw %0" : "=m"(value));
  return value;
}
void SetControl(std::uint32_t mxcsr, std::uint16_t fcw) {
  __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
  __asm__ volatile("fldcw %0" ::"m"(fcw));
}

TEST_F(SwitchTest, KeepsControlWordsPerContextAndInheritsTheCreators) {
  SetControl(0x3f80, 0x67f);  // round down
  fiber.Start([](void* p) {
    auto* f = static_cast<Fiber*>(p);
    f->log = {static_cast<int>(Mxcsr()), Fcw()};
    SetControl(0x7f80, 0xe7f);  // toward zero
    f->Suspend();
    f->log.push_back(static_cast<int>(Mxcsr()));
    f->log.push_back(Fcw());
    f->Suspend();
  });
  SetControl(0x1f80, 0x37f);
  fiber.Resume();
  EXPECT_EQ(Mxcsr(), 0x1f80u);
  EXPECT_EQ(Fcw(), 0x37f);
  fiber.Resume();
  EXPECT_EQ(Mxcsr(), 0x1f80u);
  EXPECT_EQ(Fcw(), 0x37f);
  EXPECT_EQ(fiber.log, (std::vector<int>{0x3f80, 0x67f, 0x7f80, 0xe7f}));
}

// `after` may hand the old context to another thread: by then it must be complete and its stack out
// of use.
TEST_F(SwitchTest, RunsAfterOnTheNewStackWithTheOldContextComplete) {
  fiber.Start([](void* p) {
    auto* f = static_cast<Fiber*>(p);
    f->Suspend([](void* q) {
      auto* g = static_cast<Fiber*>(q);
      char here;
      g->log.push_back(g->Holds(&here) ? 1 : 0);
      const auto* frame = static_cast<urge_context_frame*>(g->sp);
      g->log.push_back(g->Holds(frame) && frame->pc != 0);
    });
    f->log.push_back(7);
  });
  fiber.Resume([](void* q) {
    auto* g = static_cast<Fiber*>(q);
    char here;
    g->log.push_back(g->Holds(&here) ? 1 : 0);
    const auto* frame = static_cast<urge_context_frame*>(g->main_sp);
    g->log.push_back(!g->Holds(frame) && frame->pc != 0);
    g->log.push_back(Mxcsr() == frame->mxcsr % 0x10000 / 0x40 * 0x40);
  });
  EXPECT_EQ(fiber.log, (std::vector<int>{1, 1, 1, 0, 1}));
  fiber.Resume();
  EXPECT_EQ(fiber.log.back(), 7);
}

TEST_F(SwitchTest, ExceptionsStayWithinTheirContext) {
  fiber.Start([](void* p) {
    auto* f = static_cast<Fiber*>(p);
    try {
      f->Suspend();
      throw std::runtime_error("inside");
    } catch (const std::runtime_error& e) {
      f->log.push_back(std::string(e.what()) == "inside");
    }
  });
  fiber.Resume();
  try {
    throw 5;
  } catch (int value) {
    EXPECT_EQ(value, 5);
  }
  fiber.Resume();
  EXPECT_EQ(fiber.log, (std::vector<int>{1}));
}

_Unwind_Reason_Code NoteFrame(_Unwind_Context* context, void* names) {
  const auto ip = _Unwind_GetIP(context);
  if (ip == 0) return _URC_NO_REASON;  // libgcc's end mark
  auto* start = _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(ip));
  static_cast<std::vector<void*>*>(names)->push_back(start);
  return _URC_NO_REASON;
}

TEST_F(SwitchTest, UnwindingStopsAtGoexit) {
  static std::vector<void*> frames;
  frames.clear();
  fiber.Start([](void*) {
    _Unwind_Backtrace(NoteFrame, &frames);
    __asm__ volatile("");  // no tail call
  });
  fiber.Resume();
  ASSERT_GE(frames.size(), 2u);
  EXPECT_EQ(frames.back(), reinterpret_cast<void*>(&urge_goexit));
  // Before its first instruction, too: from `after`, on the fresh stack.
  frames.clear();
  fiber.Start([](void*) {});
  fiber.Resume([](void*) {
    _Unwind_Backtrace(NoteFrame, &frames);
    __asm__ volatile("");
  });
  ASSERT_GE(frames.size(), 3u);
  EXPECT_EQ(frames.back(), reinterpret_cast<void*>(&urge_goexit));
  EXPECT_EQ(frames[frames.size() - 2], reinterpret_cast<void*>(&urge_switch));
}

TEST(SwitchDeathTest, UncaughtExceptionTerminatesOnItsOwnStack) {
  EXPECT_DEATH(
      {
        std::set_terminate([] {
          char here;
          std::fprintf(stderr, "%s",
                       fiber.Holds(&here) ? "terminated on the fiber's stack" : "stack lost");
          std::abort();
        });
        ending = &fiber;
        fiber.Start([](void*) { throw 1; });
        fiber.Resume();
      },
      "terminated on the fiber's stack");
}

TEST(XStateTest, DescribesTheProcessor) {
  urge::preempt::InitXState();
  EXPECT_EQ(urge_xstate.mask & URGE_XFEATURE_PKRU, 0u);
  EXPECT_NE(urge_xstate.mask & URGE_XFEATURE_SSE, 0u);
  EXPECT_GE(urge_xstate.size, 512u);
  EXPECT_GE(urge::preempt::AsyncPreemptStackBytes(), urge_xstate.size + URGE_PREEMPT_FIXED_BYTES);
  const auto once = urge_xstate;
  urge::preempt::InitXState();
  EXPECT_EQ(std::memcmp(&once, &urge_xstate, sizeof once), 0);
}

}  // namespace

extern "C" void urge_goexit0() {
  ending->ended = true;
  void* dead = nullptr;
  urge_switch(&dead, ending->main_sp, nullptr, nullptr);
  std::abort();
}

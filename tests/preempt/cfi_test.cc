// The frame walker agrees with libgcc's unwinder, frame by frame and register by register, and
// survives stacks that make no sense.

#include "runtime/preempt/cfi.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runtime/preempt/modules.h"
#include "tests/preempt/on_stack.h"
#include "tests/preempt/plugin.h"

namespace urge::preempt {
namespace {

constexpr int kFramesMax = 4096;
constexpr uint8_t kCompared[] = {kRbx, kRbp, kR12, kR13, kR14, kR15};

struct SeenFrame {
  uintptr_t pc;
  uint64_t registers[std::size(kCompared)];
  uintptr_t stack_pointer;
};

// Fixed memory: filled in signal handlers.
struct Trace {
  SeenFrame frames[kFramesMax];
  int count = 0;
  WalkEnd end = WalkEnd::kStopped;
};

void WalkInto(const WalkStart& start, std::span<const StackRange> stack, bool is_return_address,
              Trace* out) {
  out->count = 0;
  FrameWalker walker(start, stack, is_return_address);
  bool more = true;
  while (more && out->count < kFramesMax) {
    SeenFrame& seen = out->frames[out->count++];
    for (size_t i = 0; i < std::size(kCompared); ++i) {
      seen.registers[i] = walker.registers()[kCompared[i]];
    }
    seen.pc = walker.registers().rip;
    seen.stack_pointer = walker.registers().rsp;
    Frame frame;
    more = walker.Next(&frame);
  }
  out->end = more ? WalkEnd::kLimit : walker.end();
}

// libgcc's unwinder, whatever else the program is linked with: libunwind has functions of the same
// names, and may not be entered again by a handler.
struct Libgcc {
  template <class F>
  static F* Find(const char* name) {
    static void* const library = dlopen("libgcc_s.so.1", RTLD_NOW);
    return reinterpret_cast<F*>(dlsym(library, name));
  }
  decltype(&_Unwind_Backtrace) backtrace = Find<decltype(_Unwind_Backtrace)>("_Unwind_Backtrace");
  decltype(&_Unwind_GetIP) get_ip = Find<decltype(_Unwind_GetIP)>("_Unwind_GetIP");
  decltype(&_Unwind_GetGR) get_register = Find<decltype(_Unwind_GetGR)>("_Unwind_GetGR");
  decltype(&_Unwind_GetCFA) get_cfa = Find<decltype(_Unwind_GetCFA)>("_Unwind_GetCFA");
};
const Libgcc libgcc;

[[gnu::noinline]] void UnwindInto(Trace* out) {
  out->count = 0;
  libgcc.backtrace(
      [](_Unwind_Context* context, void* self) {
        Trace& trace = *static_cast<Trace*>(self);
        if (trace.count == kFramesMax) return _URC_END_OF_STACK;
        SeenFrame& seen = trace.frames[trace.count++];
        seen.pc = libgcc.get_ip(context);
        for (size_t i = 0; i < std::size(kCompared); ++i) {
          seen.registers[i] = libgcc.get_register(context, kCompared[i]);
        }
        seen.stack_pointer = libgcc.get_cfa(context);
        return _URC_NO_REASON;
      },
      out);
  asm volatile("" ::: "memory");
}

// The stack of this thread, and the one that signal handlers run on.
std::vector<StackRange> ThreadStack() {
  pthread_attr_t attributes;
  void* base;
  size_t bytes;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &base, &bytes);
  pthread_attr_destroy(&attributes);
  const uintptr_t lo = reinterpret_cast<uintptr_t>(base);
  return {{lo, lo + bytes}};
}

bool SameFrame(const SeenFrame& a, const SeenFrame& b) {
  return a.pc == b.pc && a.stack_pointer == b.stack_pointer &&
         std::equal(a.registers, a.registers + std::size(kCompared), b.registers);
}

// Compares walks from the caller's caller outwards. Returns the number of frames.
[[gnu::noinline]] int ExpectSameWalk(std::span<const StackRange> stack) {
  static Trace ours, theirs;
  const WalkStart start = CaptureHere();
  WalkInto(start, stack, true, &ours);
  UnwindInto(&theirs);
  // Theirs begins in UnwindInto, ours here. libgcc shows the frame above the outermost, with pc 0.
  const int skipped = 1;
  int frames = theirs.count - skipped;
  if (frames > 0 && theirs.frames[theirs.count - 1].pc == 0) --frames;
  EXPECT_EQ(ours.count, frames);
  EXPECT_EQ(ours.end, WalkEnd::kEndOfStack);
  for (int i = 1; i < std::min(ours.count, frames); ++i) {
    EXPECT_TRUE(SameFrame(ours.frames[i], theirs.frames[i + skipped])) << "frame " << i;
  }
  return ours.count;
}

[[gnu::noinline]] int Recurse(int depth, std::span<const StackRange> stack) {
  if (depth == 0) return ExpectSameWalk(stack);
  const int frames = Recurse(depth - 1, stack);
  asm volatile("" ::: "memory");
  return frames;
}

TEST(WalkTest, MainThreadToStart) { EXPECT_GT(ExpectSameWalk(ThreadStack()), 5); }

TEST(WalkTest, DeepRecursion) { EXPECT_GT(Recurse(1000, ThreadStack()), 1000); }

TEST(WalkTest, ThreadToClone) {
  std::thread([] { EXPECT_GE(ExpectSameWalk(ThreadStack()), 4); }).join();
}

TEST(WalkTest, OwnStackToItsTrampoline) {
  TestStack stack;
  int frames = 0;
  stack.Run([&] {
    const StackRange ranges[] = {stack.range()};
    frames = ExpectSameWalk(ranges);
  });
  EXPECT_GE(frames, 3);
  EXPECT_LE(frames, 6);
}

TEST(WalkTest, CallbacksOfLibraries) {
  static std::vector<StackRange> stack;
  stack = ThreadStack();
  int values[] = {3, 1, 2};
  qsort(values, 3, sizeof(int), [](const void* a, const void* b) {
    ExpectSameWalk(stack);
    return *static_cast<const int*>(a) - *static_cast<const int*>(b);
  });
  dl_iterate_phdr(
      [](dl_phdr_info*, size_t, void*) {
        ExpectSameWalk(stack);
        return 1;
      },
      nullptr);
  std::once_flag once;
  std::call_once(once, [] { ExpectSameWalk(stack); });
  std::function<void()> function = [] { ExpectSameWalk(stack); };
  function();
}

TEST(WalkTest, VariableFrames) {
  const std::vector<StackRange> stack = ThreadStack();
  for (size_t bytes = 1; bytes < 3000; bytes += 700) {
    void* block = __builtin_alloca(bytes);
    asm volatile("" ::"r"(block) : "memory");
    ExpectSameWalk(stack);
  }
  struct alignas(128) Wide {
    char bytes[128];
  } wide;
  asm volatile("" ::"r"(&wide) : "memory");
  ExpectSameWalk(stack);
}

TEST(WalkTest, ThroughASignalFrame) {
  static std::vector<StackRange> stack;
  static int frames;
  stack = ThreadStack();
  struct sigaction action {};
  action.sa_handler = [](int) { frames = ExpectSameWalk(stack); };
  sigaction(SIGUSR1, &action, nullptr);
  raise(SIGUSR1);
  EXPECT_GT(frames, 5);
}

TEST(WalkTest, ThroughASignalFrameOnAnotherStack) {
  static std::vector<StackRange> stack;
  static int frames;
  static char alternate[size_t{1} << 17];
  stack = ThreadStack();
  const uintptr_t lo = reinterpret_cast<uintptr_t>(alternate);
  stack.push_back({lo, lo + sizeof(alternate)});
  const stack_t alternate_stack{.ss_sp = alternate, .ss_flags = 0, .ss_size = sizeof(alternate)};
  sigaltstack(&alternate_stack, nullptr);
  struct sigaction action {};
  action.sa_handler = [](int) { frames = ExpectSameWalk(stack); };
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, nullptr);
  raise(SIGUSR1);
  EXPECT_GT(frames, 5);
  const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
  sigaltstack(&none, nullptr);
}

// --- At every instruction ---

// Steps through code with the trap flag; in the handler both unwinders start at the interrupted
// instruction.
class Stepper {
 public:
  template <class F>
  static void Run(F&& function) {
    steps_ = differences_ = incomplete_ = 0;
    stack_ = ThreadStack();
    const stack_t alternate_stack{
        .ss_sp = alternate_, .ss_flags = 0, .ss_size = sizeof(alternate_)};
    sigaltstack(&alternate_stack, nullptr);
    struct sigaction action {};
    action.sa_sigaction = &Stepper::Handle;
    action.sa_flags = SA_ONSTACK | SA_SIGINFO;
    sigaction(SIGTRAP, &action, nullptr);
    test_flip_trap_flag();
    function();
    test_flip_trap_flag();
    signal(SIGTRAP, SIG_DFL);
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    sigaltstack(&none, nullptr);
    EXPECT_EQ(differences_, 0u) << "first at pc " << std::hex << first_different_pc_;
    EXPECT_LE(incomplete_, steps_ / 20);
  }
  static uint64_t steps() { return steps_; }

 private:
  static void Handle(int, siginfo_t*, void* raw_context) {
    const greg_t* raw = static_cast<ucontext_t*>(raw_context)->uc_mcontext.gregs;
    const auto reg = [raw](int index) { return static_cast<uint64_t>(raw[index]); };
    WalkStart start;
    start.rax = reg(REG_RAX), start.rdx = reg(REG_RDX), start.rcx = reg(REG_RCX);
    start.rbx = reg(REG_RBX), start.rsi = reg(REG_RSI), start.rdi = reg(REG_RDI);
    start.rbp = reg(REG_RBP), start.rsp = reg(REG_RSP), start.r8 = reg(REG_R8);
    start.r9 = reg(REG_R9), start.r10 = reg(REG_R10), start.r11 = reg(REG_R11);
    start.r12 = reg(REG_R12), start.r13 = reg(REG_R13), start.r14 = reg(REG_R14);
    start.r15 = reg(REG_R15), start.rip = reg(REG_RIP);
    ++steps_;
    WalkInto(start, stack_, false, &ours_);
    UnwindInto(&theirs_);
    int skipped = 0;
    while (skipped < theirs_.count && !SameFrame(theirs_.frames[skipped], ours_.frames[0])) {
      ++skipped;
    }
    int frames = theirs_.count - skipped;
    if (frames > 0 && theirs_.frames[theirs_.count - 1].pc == 0) --frames;
    bool same = ours_.count == frames;
    for (int i = 0; same && i < frames; ++i) {
      same = SameFrame(ours_.frames[i], theirs_.frames[skipped + i]);
    }
    // libgcc stops there too: in lld's .plt, which has no unwind data, and where a landing pad is
    // being installed, whose data are not exact.
    incomplete_ += same && ours_.end != WalkEnd::kEndOfStack;
    if (!same && differences_++ == 0) first_different_pc_ = start.rip;
  }

  static inline std::vector<StackRange> stack_;
  static inline char alternate_[size_t{1} << 18];
  static inline Trace ours_, theirs_;
  static inline uint64_t steps_, differences_, incomplete_;
  static inline uintptr_t first_different_pc_;
};

[[gnu::noinline]] int Product(const int* values, int count) {
  return count == 0 ? 1 : values[0] * Product(values + 1, count - 1) + 1;
}

TEST(StepTest, OwnFunctions) {
  const int values[] = {1, 2, 3, 4};
  int result = 0;
  Stepper::Run([&] { result = Product(values, 4); });
  EXPECT_GT(Stepper::steps(), 20u) << result;
}

TEST(StepTest, LazyPltStubAndResolver) {
  void* plugin = dlopen(BuildPlugin().c_str(), RTLD_LAZY);
  ASSERT_NE(plugin, nullptr) << dlerror();
  const auto lazy = reinterpret_cast<int (*)(int)>(dlsym(plugin, "plugin_lazy"));
  int result = 0;
  Stepper::Run([&] { result = lazy(-5); });
  EXPECT_EQ(result, 5);
  EXPECT_GT(Stepper::steps(), 200u);  // the resolver ran
  dlclose(plugin);
  InvalidateCfiCache();
}

TEST(StepTest, LibcFunctions) {
  char buffer[200];
  int values[] = {5, 3, 1, 4, 2};
  Stepper::Run([&] {
    std::memset(buffer, 1, sizeof(buffer));
    std::snprintf(buffer, sizeof(buffer), "%d %s %.3f", 12, "text", 1.5);
    qsort(values, 5, sizeof(int), [](const void* a, const void* b) {
      return *static_cast<const int*>(a) - *static_cast<const int*>(b);
    });
    std::free(std::malloc(3000));
  });
  EXPECT_GT(Stepper::steps(), 1000u);
}

TEST(StepTest, LibmFunctions) {
  volatile double x = 0.7, y;
  Stepper::Run([&] {
    y = std::sin(x);
    y = std::pow(x, 3.3);
    y = std::lgamma(x);
    y = std::log(x - 1);  // sets errno
  });
  EXPECT_GT(Stepper::steps(), 100u) << y;
}

TEST(StepTest, ThrowAndCatch) {
  if (dlsym(RTLD_DEFAULT, "_Unwind_RaiseException") !=
      Libgcc::Find<void>("_Unwind_RaiseException")) {
    GTEST_SKIP() << "exceptions are thrown by libunwind, which blocks SIGTRAP";
  }
  const auto thrower = [] {
    try {
      throw std::runtime_error("x");
    } catch (const std::exception&) {
    }
  };
  thrower();  // what is resolved and allocated once
  Stepper::Run(thrower);
  EXPECT_GT(Stepper::steps(), 1000u);
}

// --- The unwind data of the libraries ---

TEST(CfaProgramTest, EveryRowOfEveryLoadedModuleIsSupported) {
  const ModuleList list = ModuleList::Snapshot();
  uint64_t rows = 0;
  for (const Module& module : list.modules()) {
    for (size_t i = 0; i < module.text_count; ++i) {
      for (uintptr_t pc = module.text[i].begin; pc < module.text[i].end; pc += 13) {
        FrameDescription description;
        UnwindRow row;
        if (!FindFrameDescription(pc, &description)) continue;
        ASSERT_EQ(RunCfaProgram(description, pc, &row), CfaResult::kOk)
            << module.path << " at " << std::hex << pc - module.base;
        ++rows;
      }
    }
  }
  EXPECT_GT(rows, 100000u);
}

// --- Ends and errors ---

TEST(WalkTest, StopsWhereTheVisitorSays) {
  const std::vector<StackRange> stack = ThreadStack();
  int visited = 0;
  const WalkStart start = CaptureHere();
  EXPECT_EQ(WalkFrames(
                start, stack, 100, [&](const Frame&) { return ++visited < 3; }, true),
            WalkEnd::kStopped);
  EXPECT_EQ(visited, 3);
  visited = 0;
  EXPECT_EQ(
      WalkFrames(
          start, stack[0].lo, stack[0].hi, 2, [&](const Frame&) { return ++visited > 0; }, true),
      WalkEnd::kLimit);
  EXPECT_EQ(visited, 2);
}

TEST(WalkTest, StackBoundsAreRespected) {
  const WalkStart start = CaptureHere();
  const auto all = [](const Frame&) { return true; };
  EXPECT_EQ(WalkFrames(start, 0, 0, 100, all, true), WalkEnd::kBadStack);
  EXPECT_EQ(WalkFrames(start, start.rsp, start.rsp + 64, 100, all, true), WalkEnd::kBadStack);
}

TEST(WalkTest, UnknownCodeHasNoCfi) {
  WalkStart start = CaptureHere();
  const auto all = [](const Frame& frame) { return !frame.has_cfi; };
  for (const uint64_t pc : {uint64_t{0}, uint64_t{1}, start.rsp, ~uint64_t{0}}) {
    start.rip = pc;
    EXPECT_EQ(WalkFrames(start, ThreadStack(), 100, all), WalkEnd::kNoCfi) << pc;
  }
}

TEST(WalkTest, CorruptStacksEndTheWalk) {
  constexpr size_t kWords = 2048;
  // Guarded by inaccessible pages: a read outside faults.
  const size_t bytes = kWords * 8;
  char* memory = static_cast<char*>(
      mmap(nullptr, bytes + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_EQ(mprotect(memory + 4096, bytes, PROT_READ | PROT_WRITE), 0);
  uint64_t* words = reinterpret_cast<uint64_t*>(memory + 4096);
  const uintptr_t lo = reinterpret_cast<uintptr_t>(words);
  const ModuleList list = ModuleList::Snapshot();
  const unsigned seed = 7;
  std::mt19937_64 random(seed);
  const auto random_pc = [&]() -> uint64_t {
    const Module& module = list.modules()[random() % list.modules().size()];
    const AddressRange& text = module.text[0];
    return text.begin + random() % (text.end - text.begin);
  };
  const auto random_word = [&]() -> uint64_t {
    switch (random() % 4) {
      case 0:
        return random_pc();
      case 1:
        return lo + random() % bytes;
      case 2:
        return random() % 4096;
      default:
        return random();
    }
  };
  int longest = 0;
  for (int round = 0; round < 3000; ++round) {
    for (size_t i = 0; i < kWords; ++i) words[i] = random_word();
    WalkStart start;
    for (size_t reg = 0; reg < kRegisterCount; ++reg) start[reg] = random_word();
    start.rip = random_pc();
    start.rsp = lo + random() % bytes / 8 * 8;
    int frames = 0;
    WalkFrames(start, lo, lo + bytes, kFramesMax, [&](const Frame&) { return ++frames > 0; });
    longest = std::max(longest, frames);
  }
  EXPECT_LT(longest, kFramesMax);  // the CFA grows by at least one byte a frame
  EXPECT_GT(longest, 3) << "seed " << seed;
  munmap(memory, bytes + 8192);
}

TEST(BoundsTest, OfAFunctionAndOfNothing) {
  FunctionBounds bounds;
  const uintptr_t product = reinterpret_cast<uintptr_t>(&Product);
  ASSERT_TRUE(BoundsOf(product, &bounds));
  EXPECT_EQ(bounds.begin, product);
  EXPECT_GT(bounds.end, product + 8);
  EXPECT_FALSE(bounds.signal_frame);
  EXPECT_FALSE(BoundsOf(0, &bounds));
  EXPECT_FALSE(BoundsOf(reinterpret_cast<uintptr_t>(&bounds), &bounds));
}

// --- The cache ---

[[gnu::noinline]] int WalkHere(const std::vector<StackRange>& stack) {
  int frames = 0;
  const WalkStart start = CaptureHere();
  WalkFrames(
      start, stack, kFramesMax, [&](const Frame&) { return ++frames > 0; }, true);
  return frames;
}

TEST(CacheTest, SecondWalkFillsNothingUntilInvalidated) {
  const std::vector<StackRange> stack = ThreadStack();
  uint64_t fills[5];       // after each walk
  volatile int walks = 5;  // not unrolled: all walks start from one call
  for (int i = 0; i < walks; ++i) {
    if (i == 0 || i == 3) InvalidateCfiCache();
    WalkHere(stack);
    fills[i] = ReadCfiCacheStats().fills;
  }
  EXPECT_EQ(fills[1], fills[0]);
  EXPECT_EQ(fills[2], fills[0]);
  EXPECT_GT(fills[3], fills[2] + 5);
  EXPECT_EQ(fills[4], fills[3]);
}

TEST(CacheTest, ConcurrentWalksAgreeWhileInvalidated) {
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> walkers;
  for (int i = 0; i < 3; ++i) {
    walkers.emplace_back([&] {
      const std::vector<StackRange> stack = ThreadStack();
      const int expected = WalkHere(stack);
      while (!stop) {
        if (WalkHere(stack) != expected) ++wrong;
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    InvalidateCfiCache();
    std::this_thread::yield();
  }
  stop = true;
  for (std::thread& walker : walkers) walker.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace urge::preempt

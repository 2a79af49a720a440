// What a frame walk costs: ours (warm, and with a cold cache), libunwind, and libgcc; with the map
// and the verdicts on thread-bound code, as each preemption pays it; and a look-up in the
// preemption map. The stack is a recursion on a stack with a bottom of its own; rates are per
// frame.

// link: -lunwind
// needs: libunwind.h

#define UNW_LOCAL_ONLY
#include <benchmark/benchmark.h>
#include <libunwind.h>
#include <unwind.h>

#include <vector>

#include "runtime/preempt/cfi.h"
#include "runtime/preempt/foreign_frames.h"
#include "runtime/preempt/map.h"
#include "tests/preempt/on_stack.h"

namespace urge::preempt {
namespace {

enum class Walker { kOurs, kOursCold, kForeignFrames, kForeignFramesCold, kLibunwind, kLibgcc };

TestStack stack;

[[gnu::noinline]] int Walk(Walker walker) {
  int frames = 0;
  const StackRange ranges[] = {stack.range()};
  const auto count = [&](const Frame& frame) {
    benchmark::DoNotOptimize(frame.pc);
    return ++frames > 0;
  };
  switch (walker) {
    case Walker::kOursCold:
      InvalidateCfiCache();
      [[fallthrough]];
    case Walker::kOurs: {
      const WalkStart start = CaptureHere();
      WalkFrames(start, ranges, 1 << 20, count, true);
      break;
    }
    case Walker::kForeignFramesCold:
      InvalidateCfiCache();
      [[fallthrough]];
    case Walker::kForeignFrames: {
      const WalkStart start = CaptureHere();
      frames = FindForeignFrames(start, ranges, true).frames;
      break;
    }
    case Walker::kLibunwind: {
      unw_context_t context;
      unw_cursor_t cursor;
      unw_getcontext(&context);
      unw_init_local(&cursor, &context);
      while (++frames, unw_step(&cursor) > 0) {
      }
      break;
    }
    case Walker::kLibgcc:
      _Unwind_Backtrace(
          [](_Unwind_Context* context, void* out) {
            benchmark::DoNotOptimize(_Unwind_GetIP(context));
            ++*static_cast<int*>(out);
            return _URC_NO_REASON;
          },
          &frames);
      break;
  }
  return frames;
}

[[gnu::noinline]] void Recurse(int depth, benchmark::State& state, Walker walker) {
  if (depth > 0) {
    Recurse(depth - 1, state, walker);
    asm volatile("" ::: "memory");
    return;
  }
  int64_t frames = 0;
  for (auto _ : state) frames += Walk(walker);
  state.counters["frames"] =
      benchmark::Counter(static_cast<double>(frames), benchmark::Counter::kAvgIterations);
  state.counters["s/frame"] = benchmark::Counter(
      static_cast<double>(frames), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_Walk(benchmark::State& state, Walker walker) {
  PreemptionMap::Rebuild();
  stack.Run([&] { Recurse(static_cast<int>(state.range(0)), state, walker); });
}
BENCHMARK_CAPTURE(BM_Walk, urge, Walker::kOurs)->Arg(8)->Arg(100);
BENCHMARK_CAPTURE(BM_Walk, urge_cold, Walker::kOursCold)->Arg(8);
// With 10 it is the 12 frames of the figure in HACKING.md.
BENCHMARK_CAPTURE(BM_Walk, urge_at_preemption, Walker::kForeignFrames)->Arg(10)->Arg(100);
BENCHMARK_CAPTURE(BM_Walk, urge_at_preemption_cold, Walker::kForeignFramesCold)->Arg(10);
BENCHMARK_CAPTURE(BM_Walk, libunwind, Walker::kLibunwind)->Arg(8)->Arg(100);
BENCHMARK_CAPTURE(BM_Walk, libgcc, Walker::kLibgcc)->Arg(8)->Arg(100);

void BM_Classify(benchmark::State& state) {
  PreemptionMap::Rebuild();
  const uintptr_t pc = reinterpret_cast<uintptr_t>(&Walk);
  for (auto _ : state) benchmark::DoNotOptimize(PreemptionMap::Classify(pc));
}
BENCHMARK(BM_Classify);

void BM_Rebuild(benchmark::State& state) {
  for (auto _ : state) PreemptionMap::Rebuild();
}
BENCHMARK(BM_Rebuild);

void BM_Stale(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(PreemptionMap::Stale());
}
BENCHMARK(BM_Stale);

}  // namespace
}  // namespace urge::preempt

BENCHMARK_MAIN();

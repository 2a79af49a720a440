// stepper.h: single-steps a routine and preempts it at every instruction boundary.
//
// 1. prove_call sets TF, so every instruction of the routine raises SIGTRAP, handled on an
// alternate stack.
// 2. At each boundary the handler takes a snapshot of every register, flag and state component and
// of the red zone,
//    and edits the ucontext exactly as the runtime's signal handler does: RSP -= 128, push PC, RIP
//    = urge_async_preempt.
// 3. The park double walks the stack through the injected frame: PC, RSP and every general register
// of the
//    interrupted frame must be the snapshot's, and the walk must reach prove_call. It plants TF in
//    the saved flags and ruins everything.
// 4. The next trap is at the same PC, right behind `ret $128`. The new ucontext must equal the
// snapshot bit for bit.
//
// With step_inside, asyncPreempt itself is stepped too, and the walk is done from the handler at
// each of its instructions (for the first, from a second signal that is pending when the handler
// returns).
//
// A failure prints one line and ends the process with status 1.

#ifndef URGE_TESTS_PROVE_STEPPER_H_
#define URGE_TESTS_PROVE_STEPPER_H_

#include <cstdint>

#include "tests/prove/corpus.h"

namespace urge::prove {

struct Totals {
  std::uint64_t boundaries = 0;  ///< Injected preemptions, each compared.
  std::uint64_t walks = 0;       ///< Stack walks that had to reach the bottom, and did.
  std::uint64_t partial_walks =
      0;                         ///< Walks from foreign code, checked up to the interrupted frame.
  std::uint64_t inside_asm = 0;  ///< Walks from instructions of asyncPreempt itself.
};

/// Which registers the park double can ruin, and what the processor can run.
struct Features {
  bool avx2 = false;
  bool avx512 = false;
  bool amx = false;
};

/// Installs the handlers and asks for AMX if there is any.
Features InstallStepper();

/// Runs routine(scratch) under preemption at every boundary and returns its digest.
std::uint64_t StepThrough(const char* name, CorpusRoutine* routine, void* scratch,
                          bool step_inside);

const Totals& StepTotals();

}  // namespace urge::prove

#endif  // URGE_TESTS_PROVE_STEPPER_H_

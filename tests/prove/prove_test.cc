// The single-step proof of the assembly. Usage: prove_test [--boundaries N] [--kind KIND], where
// KIND is fxsave, xsave or xsavec. URGE_PROVE=full stands for --boundaries 1000000.
//
// Runs the corpus over and over, preempted at every instruction boundary, until N boundaries were
// injected (one whole pass at least). Each routine's digest must equal that of an undisturbed run,
// and is 0 only if the routine finds itself wrong.
// alone: asm/x86_64/switch.S asm/x86_64/entry.S asm/x86_64/async_preempt.S
// alone: runtime/preempt/xstate.cc
// link: -Wl,-z,now
// skip: asan tsan

#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "asm/morestack.h"
#include "runtime/preempt/xstate.h"
#include "tests/prove/corpus.h"
#include "tests/prove/stepper.h"

namespace {

enum class Needs { kNothing, kAvx2, kAvx512, kAmx, kWholeState };

struct Entry {
  const char* name;
  CorpusRoutine* routine;
  Needs needs = Needs::kNothing;
};

constexpr Entry kCorpus[] = {
    {"red zone", corpus_red_zone},
    {"all registers", corpus_all_registers},
    {"direction flag", corpus_direction},
    {"carry chain", corpus_carry},
    {"stack and frames", corpus_stack},
    {"odd stack pointer", corpus_odd_stack},
    {"alignment check", corpus_alignment_check},
    {"x87", corpus_x87},
    {"mmx", corpus_mmx},
    {"mxcsr", corpus_mxcsr},
    {"sse", corpus_sse},
    {"avx2", corpus_avx2, Needs::kAvx2},
    {"avx-512", corpus_avx512, Needs::kAvx512},
    {"amx", corpus_amx, Needs::kAmx},
    {"varargs", corpus_varargs},
    {"compiled frames", corpus_frames},
    {"urge_switch", corpus_switch},
    {"urge_switch, bare", corpus_bare_switch},
    {"control words", corpus_control_words},
    {"__morestack", corpus_split},
    {"run queue", corpus_runtime},
    {"throw and catch", corpus_throw, Needs::kWholeState},
};

constexpr std::size_t kScratchBytes = 4096;
alignas(64) unsigned char scratch[kScratchBytes];

void FillScratch() {
  std::uint64_t x = 0x9e3779b97f4a7c15;
  for (std::size_t i = 0; i < kScratchBytes; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    scratch[i] = static_cast<unsigned char>(x >> 56);
  }
}

bool Possible(Needs needs, const urge::prove::Features& f) {
  switch (needs) {
    case Needs::kAvx2:
      return f.avx2;
    case Needs::kAvx512:
      return f.avx512;
    case Needs::kAmx:
      return f.amx;
    case Needs::kWholeState:  // libc uses whatever registers the processor has
      return urge_xstate.kind != URGE_XSTATE_FXSAVE;
    case Needs::kNothing:
      break;
  }
  return true;
}

void SetGuard(std::uint64_t guard) {
  __asm__ volatile("movq %0, %%fs:0x70" ::"r"(guard) : "memory");
}

void ForceKind(const char* kind) {
  if (std::strcmp(kind, "xsavec") == 0) return;
  if (urge_xstate.kind == URGE_XSTATE_FXSAVE) return;
  urge_xstate.tile_bytes = 0;
  if (std::strcmp(kind, "xsave") == 0) {
    urge_xstate.kind = URGE_XSTATE_XSAVE;
    urge_xstate.mask &= ~std::uint64_t{URGE_XFEATURE_TILE_CFG | URGE_XFEATURE_TILE_DATA};
    urge_xstate.size = 12 << 10;  // more than any standard format
    return;
  }
  urge_xstate = {URGE_XFEATURE_X87 | URGE_XFEATURE_SSE, URGE_XSAVE_LEGACY_BYTES, URGE_XSTATE_FXSAVE,
                 0, 0};
}

}  // namespace

// The runtime's side of __morestack: answers "go on in place" after ruining what a C function may
// ruin.
extern "C" {
__attribute__((noinline)) void prove_clobber() {
  __asm__ volatile(
      "movq $-1, %%rax; movq %%rax, %%rcx; movq %%rax, %%rdx; movq %%rax, %%rsi; movq %%rax, "
      "%%rdi; movq %%rax, %%r8;"
      "movq %%rax, %%r9; movq %%rax, %%r10; movq %%rax, %%r11; pcmpeqd %%xmm0, %%xmm0; pcmpeqd "
      "%%xmm1, %%xmm1" ::
          : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "cc");
}
void* urge_newstack(urge_morestack_args*) {
  prove_clobber();
  return nullptr;
}
void urge_oldstack() {}
void* urge_stackspace(std::size_t, std::uint64_t) { return nullptr; }
}

int main(int argc, char** argv) {
  const char* extent = std::getenv("URGE_PROVE");
  std::uint64_t wanted = extent != nullptr && std::strcmp(extent, "full") == 0 ? 1'000'000 : 0;
  const char* kind = "xsavec";
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--boundaries") == 0 && i + 1 < argc) {
      wanted = std::strtoull(argv[++i], nullptr, 0);
    } else if (std::strcmp(argv[i], "--kind") == 0 && i + 1 < argc) {
      kind = argv[++i];
    } else {
      std::fprintf(stderr, "usage: prove [--boundaries N] [--kind fxsave|xsave|xsavec]\n");
      return 2;
    }
  }
  urge::preempt::InitXState();
  ForceKind(kind);
  const urge::prove::Features features = urge::prove::InstallStepper();
  const urge::prove::Totals& totals = urge::prove::StepTotals();
  for (int pass = 0; pass == 0 || totals.boundaries < wanted; ++pass) {
    for (const Entry& e : kCorpus) {
      if (!Possible(e.needs, features)) {
        if (pass == 0) std::printf("prove: %s: skipped, not on this processor or form\n", e.name);
        continue;
      }
      // Most of a throw is libgcc; later passes spend their time on the rest.
      if (e.routine == corpus_throw && pass % 32 != 0) continue;
      FillScratch();
      const std::uint64_t want = e.routine(scratch);  // with a guard of 0: no __morestack
      if (want == 0) {
        std::fprintf(stderr, "prove: %s: wrong even when undisturbed\n", e.name);
        return 1;
      }
      FillScratch();
      SetGuard(0xfffffffffffffade);
      const std::uint64_t before = totals.boundaries;
      const std::uint64_t got = urge::prove::StepThrough(e.name, e.routine, scratch, pass == 0);
      SetGuard(0);
      if (got != want) {
        std::fprintf(stderr, "prove: %s: digest: want %#" PRIx64 ", got %#" PRIx64 "\n", e.name,
                     want, got);
        return 1;
      }
      if (pass == 0)
        std::printf("prove: %-18s %8" PRIu64 " boundaries\n", e.name, totals.boundaries - before);
    }
  }
  std::printf("prove: %s: %" PRIu64 " boundaries preempted and compared, %" PRIu64
              " walks to the bottom, %" PRIu64 " to foreign code, %" PRIu64
              " from inside asyncPreempt\n",
              kind, totals.boundaries, totals.walks, totals.partial_walks, totals.inside_asm);
  return 0;
}

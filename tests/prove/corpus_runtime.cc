// corpus_runtime.cc: the runtime's own code in the proof: what the scheduler compiles to, atomics
// and all, computes the same with a preemption between any two of its instructions.

#include "runtime/sched/run_queue.h"
#include "tests/prove/corpus.h"

namespace {

using urge::sched::G;
using urge::sched::GQueue;
using Queue = urge::sched::BasicRunQueue<4>;

constexpr std::uint64_t kGoroutines = 6;
G goroutines[kGoroutines];

std::uint64_t IdOf(const G* gp) {
  return gp == nullptr ? 7 : static_cast<std::uint64_t>(gp - goroutines) + 11;
}

}  // namespace

// An owner and a thief at work: the ring wraps and overflows, and every slot is used.
extern "C" std::uint64_t corpus_runtime(void*) {
  Queue owner, thief;
  std::uint64_t digest = 1;
  const auto add = [&digest](std::uint64_t value) { digest = digest * 31 + value; };
  for (std::uint64_t round = 0; round < 3; ++round) {
    for (G& g : goroutines) {
      if (owner.TryPush(&g)) continue;
      GQueue half;
      add(owner.TakeHalf(half));
      while (G* gp = half.PopFront()) add(IdOf(gp));
      add(owner.TryPush(&g));
    }
    add(IdOf(owner.ReplaceNext(&goroutines[round])));
    add(IdOf(owner.ReplaceNext(&goroutines[round + 1])));
    add(IdOf(owner.ReplaceVictim(&goroutines[round + 2])));
    add(IdOf(owner.StealHalfInto(thief)));
    add(IdOf(thief.Pop()));
    add(IdOf(owner.PopVictim()));
    if (round == 1) add(IdOf(owner.StealNext()));
    add(IdOf(owner.PopNext()));
    while (const G* gp = owner.Pop()) add(IdOf(gp));
    add(owner.Empty() + 2u * owner.Size());
  }
  return digest;
}

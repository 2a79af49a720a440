// stepper.cc: see stepper.h. Everything below runs in signal handlers or between two instructions
// of somebody else's code, so it allocates nothing and compares with memory it owns.

#include "tests/prove/stepper.h"

#include <cpuid.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "asm/offsets.h"
#include "asm/switch.h"
#include "runtime/preempt/xstate.h"
#include "tests/prove/layout.h"

extern "C" {
std::uint64_t prove_call(std::uint64_t (*routine)(void*), void* argument);
void prove_park_check();
extern std::uint64_t prove_bad_rflags;
extern std::uint64_t prove_stub_rbp;
extern char prove_call_return;
extern std::uint32_t prove_ruin;
void __morestack();
void __morestack_allocate_stack_space();
extern char __executable_start;
extern char etext;
}

namespace urge::prove {
namespace {

constexpr std::uint64_t kTf = URGE_EFLAGS_TF;
constexpr std::uint64_t kRf = 0x10000;
constexpr greg_t kDeadBytes = 6 << 10;
constexpr std::size_t kMaxXState = 16 << 10;

// ucontext's index of each DWARF register.
constexpr int kGregOfDwarf[16] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                  REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                  REG_R12, REG_R13, REG_R14, REG_R15};

struct Component {
  std::uint32_t offset;
  std::uint32_t size;
};

struct Snapshot {
  greg_t gregs[NGREG];
  unsigned char red_zone[URGE_RED_ZONE_BYTES];
  std::uint64_t xstate_bv;
  bool extended;
  alignas(64) unsigned char xstate[kMaxXState];
};

Component components[64];
Snapshot snapshot;
Totals totals;
const char* running = "";
bool awaiting_return = false;
bool step_inside = false;
std::uint64_t inside_budget = 0;

[[noreturn]] void Fail(const char* what, std::uint64_t want, std::uint64_t got) {
  std::fprintf(stderr, "prove: %s: boundary %llu at pc %#llx: %s: want %#llx, got %#llx\n", running,
               static_cast<unsigned long long>(totals.boundaries),
               static_cast<unsigned long long>(snapshot.gregs[REG_RIP]), what,
               static_cast<unsigned long long>(want), static_cast<unsigned long long>(got));
  _exit(1);
}

std::uint64_t Word(const void* p) {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// ---- Snapshot and comparison.

constexpr std::size_t kSoftwareBytes = 464;
constexpr std::size_t kMxcsrMask = 28;
constexpr std::size_t kLegacyCompared = 416;

bool ExtendedFrame(const unsigned char* area, std::uint32_t* bytes) {
  std::uint32_t magic;
  std::memcpy(&magic, area + kSoftwareBytes, sizeof magic);
  std::memcpy(bytes, area + kSoftwareBytes + 16, sizeof *bytes);
  return magic == FP_XSTATE_MAGIC1;
}

// RSP on entry of the __morestack routine that is being stepped: what the unwinder must make of it
// is known.
struct Entered {
  void* function = nullptr;
  std::uint64_t rsp = 0;
};
Entered entered;

void NoteEntry(const ucontext_t& uc) {
  auto* pc = reinterpret_cast<void*>(uc.uc_mcontext.gregs[REG_RIP]);
  if (pc != reinterpret_cast<void*>(&__morestack) &&
      pc != reinterpret_cast<void*>(&__morestack_allocate_stack_space)) {
    return;
  }
  entered = {pc, static_cast<std::uint64_t>(uc.uc_mcontext.gregs[REG_RSP])};
}

void Take(const ucontext_t& uc) {
  std::memcpy(snapshot.gregs, uc.uc_mcontext.gregs, sizeof snapshot.gregs);
  const auto rsp = static_cast<std::uintptr_t>(uc.uc_mcontext.gregs[REG_RSP]);
  std::memcpy(snapshot.red_zone, reinterpret_cast<void*>(rsp - URGE_RED_ZONE_BYTES),
              URGE_RED_ZONE_BYTES);
  const auto* area = reinterpret_cast<const unsigned char*>(uc.uc_mcontext.fpregs);
  std::uint32_t bytes = URGE_XSAVE_LEGACY_BYTES;
  snapshot.extended = ExtendedFrame(area, &bytes);
  if (!snapshot.extended) bytes = URGE_XSAVE_LEGACY_BYTES;
  if (bytes > kMaxXState) Fail("xstate too large", kMaxXState, bytes);
  std::memcpy(snapshot.xstate, area, bytes);
  snapshot.xstate_bv =
      snapshot.extended ? Word(area + URGE_XSAVE_XSTATE_BV) : URGE_XFEATURE_X87 | URGE_XFEATURE_SSE;
}

void CompareBytes(const char* what, const unsigned char* want, const unsigned char* got,
                  std::size_t bytes) {
  if (std::memcmp(want, got, bytes) == 0) return;
  for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
    if (Word(want + i) != Word(got + i)) {
      std::fprintf(stderr, "prove: byte %zu of:\n", i);
      Fail(what, Word(want + i), Word(got + i));
    }
  }
  Fail(what, 0, 1);
}

void CompareXState(const ucontext_t& uc) {
  static const unsigned char zeros[kMaxXState] = {};
  const auto* area = reinterpret_cast<const unsigned char*>(uc.uc_mcontext.fpregs);
  std::uint32_t bytes;
  if (ExtendedFrame(area, &bytes) != snapshot.extended)
    Fail("xstate form", snapshot.extended, !snapshot.extended);
  CompareBytes("x87 control and MXCSR", snapshot.xstate, area, kMxcsrMask);
  CompareBytes("x87 and SSE registers", snapshot.xstate + kMxcsrMask + 4, area + kMxcsrMask + 4,
               kLegacyCompared - kMxcsrMask - 4);
  if (!snapshot.extended || urge_xstate.kind == URGE_XSTATE_FXSAVE) return;
  const std::uint64_t bv = Word(area + URGE_XSAVE_XSTATE_BV);
  for (int i = 2; i < 63; ++i) {
    if (((bv | snapshot.xstate_bv) >> i & 1) == 0 || components[i].size == 0) continue;
    const Component c = components[i];
    char what[40];
    std::snprintf(what, sizeof what, "state component %d", i);
    CompareBytes(what, snapshot.xstate_bv >> i & 1 ? snapshot.xstate + c.offset : zeros,
                 bv >> i & 1 ? area + c.offset : zeros, c.size);
  }
}

void Compare(const ucontext_t& uc) {
  static const char* const kNames[16] = {"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
                                         "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp"};
  for (int i = 0; i < 16; ++i) {
    if (uc.uc_mcontext.gregs[i] != snapshot.gregs[i]) {
      Fail(kNames[i], static_cast<std::uint64_t>(snapshot.gregs[i]),
           static_cast<std::uint64_t>(uc.uc_mcontext.gregs[i]));
    }
  }
  const auto want = static_cast<std::uint64_t>(snapshot.gregs[REG_EFL]) & ~(kTf | kRf);
  const auto got = static_cast<std::uint64_t>(uc.uc_mcontext.gregs[REG_EFL]) & ~(kTf | kRf);
  if (want != got) Fail("flags", want, got);
  const auto rsp = static_cast<std::uintptr_t>(snapshot.gregs[REG_RSP]);
  CompareBytes("red zone", snapshot.red_zone,
               reinterpret_cast<unsigned char*>(rsp - URGE_RED_ZONE_BYTES), URGE_RED_ZONE_BYTES);
  CompareXState(uc);
}

// ---- The walk.

struct Walk {
  bool check_caller = false;
  bool interrupted_seen = false;
  bool bottom_seen = false;
  int frames = 0;
};

// libgcc takes a return address here and looks up the byte before it.
void* FunctionAt(std::uint64_t pc) {
  return _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(pc + 1));
}

constexpr int kDwarfRbp = 6;
constexpr int kCalleeSaved[] = {3, 12, 13, 14, 15};  // RBX, R12 to R15, in DWARF's numbers

void CheckRegister(_Unwind_Context* context, int dwarf, std::uint64_t want) {
  const auto got = static_cast<std::uint64_t>(_Unwind_GetGR(context, dwarf));
  if (want == got) return;
  char what[48];
  std::snprintf(what, sizeof what, "DWARF register %d seen by the unwinder", dwarf);
  Fail(what, want, got);
}

// The walk stops at foreign code: in libgcc's epilogues that leave a throw, RBP and RSP are
// replaced one after the other while the CFI still names RBP, and following it there crashes.
bool InOwnText(std::uint64_t pc) {
  return pc >= reinterpret_cast<std::uint64_t>(&__executable_start) &&
         pc < reinterpret_cast<std::uint64_t>(&etext);
}

_Unwind_Reason_Code Visit(_Unwind_Context* context, void* argument) {
  auto* walk = static_cast<Walk*>(argument);
  if (++walk->frames > 200) return _URC_END_OF_STACK;
  int before_instruction = 0;
  const auto ip = static_cast<std::uint64_t>(_Unwind_GetIPInfo(context, &before_instruction));
  if (!walk->interrupted_seen) {
    if (ip != static_cast<std::uint64_t>(snapshot.gregs[REG_RIP]) || !before_instruction)
      return _URC_NO_REASON;
    if (_Unwind_GetCFA(context) != static_cast<std::uint64_t>(snapshot.gregs[REG_RSP]))
      return _URC_NO_REASON;
    walk->interrupted_seen = true;
    for (int r = 0; r < 16; ++r) {
      if (kGregOfDwarf[r] == REG_RSP) continue;
      CheckRegister(context, r, static_cast<std::uint64_t>(snapshot.gregs[kGregOfDwarf[r]]));
    }
    if (!InOwnText(ip)) return _URC_END_OF_STACK;
    walk->check_caller = entered.function != nullptr && FunctionAt(ip) == entered.function;
  } else if (walk->check_caller) {
    walk->check_caller = false;
    if (_Unwind_GetCFA(context) != entered.rsp + 8)
      Fail("caller's RSP", entered.rsp + 8, _Unwind_GetCFA(context));
  }
  auto* function = FunctionAt(before_instruction ? ip : ip - 1);
  if (ip == reinterpret_cast<std::uint64_t>(&prove_call_return) && !before_instruction) {
    for (int r : kCalleeSaved)
      CheckRegister(context, r, PROVE_CALLEE_SAVED + static_cast<std::uint64_t>(r));
    CheckRegister(context, kDwarfRbp, prove_stub_rbp);
  }
  if (function == reinterpret_cast<void*>(&urge_goexit)) {
    for (int r : {kDwarfRbp, 13, 14, 15}) CheckRegister(context, r, 0);
  }
  if (function == reinterpret_cast<void*>(&prove_call)) walk->bottom_seen = true;
  if (function == reinterpret_cast<void*>(&urge_goexit)) walk->bottom_seen = true;
  return _URC_NO_REASON;
}

void CheckWalk(const char* from) {
  Walk walk;
  _Unwind_Backtrace(Visit, &walk);
  if (!walk.interrupted_seen) Fail(from, 1, 0);
  if (walk.bottom_seen) {
    ++totals.walks;
  } else if (InOwnText(static_cast<std::uint64_t>(snapshot.gregs[REG_RIP]))) {
    Fail("the walk does not reach the bottom", 1, 0);
  } else {
    ++totals.partial_walks;
  }
}

// ---- The handlers.

bool InAsyncPreempt(std::uint64_t pc) {
  return FunctionAt(pc) == reinterpret_cast<void*>(&urge_async_preempt);
}

std::uint64_t* SavedFlags() {
  return reinterpret_cast<std::uint64_t*>(snapshot.gregs[REG_RSP] + URGE_PREEMPT_RFLAGS);
}

void Inject(ucontext_t* uc) {
  greg_t* g = uc->uc_mcontext.gregs;
  g[REG_RSP] -= URGE_RED_ZONE_BYTES;
  // Below the red zone nothing may be relied on.
  std::memset(reinterpret_cast<void*>(g[REG_RSP] - kDeadBytes), 0xa5, kDeadBytes);
  g[REG_RSP] -= 8;
  std::memcpy(reinterpret_cast<void*>(g[REG_RSP]), &g[REG_RIP], 8);
  g[REG_RIP] = reinterpret_cast<greg_t>(&urge_async_preempt);
  if (step_inside) {
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);  // comes before the first instruction
  } else {
    g[REG_EFL] &= ~static_cast<greg_t>(kTf);
  }
}

// A handler starts with the interrupted AC flag, and compiled code makes unaligned accesses.
[[gnu::always_inline]] inline void ClearAlignmentCheck() {
  __asm__ volatile("pushfq; andl %0, (%%rsp); popfq" ::"i"(~URGE_EFLAGS_AC) : "memory", "cc");
}

void StepInside(ucontext_t* uc) {
  greg_t* g = uc->uc_mcontext.gregs;
  const auto pc = static_cast<std::uint64_t>(g[REG_RIP]);
  if (pc == reinterpret_cast<std::uint64_t>(&urge_async_preempt_park)) {
    g[REG_EFL] &= ~static_cast<greg_t>(kTf);  // the double sets it again with its ruined flags
    return;
  }
  // What asyncPreempt saved must say "no TF", or it would clear it and end the stepping.
  if (g[REG_RSP] <= reinterpret_cast<greg_t>(SavedFlags())) *SavedFlags() &= ~kTf;
  if (InAsyncPreempt(pc)) {
    CheckWalk("the walk from inside asyncPreempt misses the interrupted frame");
    ++totals.inside_asm;
  }
  g[REG_EFL] |= kTf;
}

void OnTrap(int, siginfo_t*, void* context) {
  ClearAlignmentCheck();
  auto* uc = static_cast<ucontext_t*>(context);
  greg_t* g = uc->uc_mcontext.gregs;
  if (awaiting_return) {
    if (g[REG_RIP] != snapshot.gregs[REG_RIP] || g[REG_RSP] != snapshot.gregs[REG_RSP]) {
      if (step_inside) return StepInside(uc);
      Fail("PC after the preemption", static_cast<std::uint64_t>(snapshot.gregs[REG_RIP]),
           static_cast<std::uint64_t>(g[REG_RIP]));
    }
    Compare(*uc);
    awaiting_return = false;
    g[REG_EFL] |= static_cast<greg_t>(kTf);
    return;
  }
  if ((g[REG_EFL] & static_cast<greg_t>(kTf)) == 0)
    return;  // prove_call has cleared it: the routine is done
  step_inside = inside_budget > 0;
  if (inside_budget > 0) --inside_budget;
  prove_bad_rflags = PROVE_BAD_RFLAGS | (step_inside ? kTf : 0);
  NoteEntry(*uc);
  Take(*uc);
  ++totals.boundaries;
  awaiting_return = true;
  Inject(uc);
}

void OnFirstInstruction(int, siginfo_t*, void*) {
  ClearAlignmentCheck();
  CheckWalk("the walk from asyncPreempt's first instruction misses the interrupted frame");
  ++totals.inside_asm;
}

void OnCrash(int signal, siginfo_t*, void* context) {
  auto* uc = static_cast<ucontext_t*>(context);
  Fail("crash", static_cast<std::uint64_t>(signal),
       static_cast<std::uint64_t>(uc->uc_mcontext.gregs[REG_RIP]));
}

constexpr std::uint64_t kArchReqXcompPerm = 0x1023;
constexpr std::uint64_t kTileDataComponent = 18;

void FindComponents() {
  unsigned a, b, c, d;
  for (unsigned i = 2; i < 63; ++i) {
    if (!__get_cpuid_count(URGE_CPUID_XSTATE_LEAF, i, &a, &b, &c, &d) || (c & 1)) continue;
    components[i] = {b, a};
  }
}

}  // namespace

Features InstallStepper() {
  constexpr std::size_t kAltStackBytes = 256 << 10;
  void* alt =
      mmap(nullptr, kAltStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t stack = {};
  stack.ss_sp = alt;
  stack.ss_size = kAltStackBytes;
  sigaltstack(&stack, nullptr);

  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGUSR1);
  action.sa_sigaction = OnTrap;
  sigaction(SIGTRAP, &action, nullptr);
  action.sa_sigaction = OnFirstInstruction;
  sigaddset(&action.sa_mask, SIGTRAP);
  sigaction(SIGUSR1, &action, nullptr);
  action.sa_sigaction = OnCrash;
  for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(signal, &action, nullptr);

  FindComponents();
  Features f;
  f.avx2 = __builtin_cpu_supports("avx2");
  f.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  f.amx = components[kTileDataComponent].size != 0 &&
          (urge_xstate.mask >> kTileDataComponent & 1) != 0 &&
          syscall(SYS_arch_prctl, kArchReqXcompPerm, kTileDataComponent) == 0;
  if (urge_xstate.kind == URGE_XSTATE_FXSAVE) f = {};
  prove_ruin = (f.avx2 ? PROVE_RUIN_AVX : 0) | (f.avx512 ? PROVE_RUIN_AVX512 : 0) |
               (f.amx ? PROVE_RUIN_TILES : 0);
  return f;
}

std::uint64_t StepThrough(const char* name, CorpusRoutine* routine, void* scratch, bool inside) {
  running = name;
  inside_budget = inside ? 60 : 0;
  return prove_call(routine, scratch);
}

const Totals& StepTotals() { return totals; }

}  // namespace urge::prove

// Called by the park double.
extern "C" void prove_park_check() {
  using namespace urge::prove;
  if (!step_inside) *SavedFlags() |= kTf;
  std::uint64_t flags;
  __asm__ volatile("pushfq; popq %0" : "=r"(flags));
  if (flags & (0x400 | URGE_EFLAGS_AC)) Fail("DF or AC in the runtime", 0, flags);
  std::uint32_t mxcsr;
  std::uint16_t environment[14];
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
  __asm__ volatile("fnstenv %0\n\tfldenv %0" : "=m"(environment));
  if ((mxcsr & URGE_MXCSR_CONTROL) != URGE_MXCSR_DEFAULT)
    Fail("MXCSR in the runtime", URGE_MXCSR_DEFAULT, mxcsr);
  if (environment[0] != 0x37f) Fail("x87 control word in the runtime", 0x37f, environment[0]);
  if (environment[4] != 0xffff) Fail("x87 stack in the runtime", 0xffff, environment[4]);
  CheckWalk("the walk from the runtime misses the interrupted frame");
}

#include "runtime/traceback/frames.h"

#include <climits>
#include <cstring>

#include "asm/switch.h"
#include "runtime/traceback/symbol.h"

namespace urge::traceback {
namespace {

using base::Hex;
using base::RawWriter;
using preempt::FrameWalker;
using preempt::StackRange;
using preempt::WalkEnd;

constexpr int kHalf = kMaxFrames / 2;

void PrintPlace(RawWriter& out, std::uintptr_t pc) {
  const CodePlace place = PlaceOf(pc);
  out << "\t";
  if (!place.module.empty()) {
    out << place.module << "+" << Hex{place.offset} << "\n";
  } else {
    out << Hex{pc} << "\n";
  }
}

// A call through a bad pointer: no code is known at the pc, but the word at RSP is the return
// address, because nothing has run since the call. Moves on to the caller. Go does the same for
// pc == 0.
bool SkipWildCall(Context* context, StackRange stack) {
  const preempt::StackMemory memory(std::span(&stack, 1));
  preempt::Registers& r = context->registers;
  preempt::FunctionBounds bounds;
  std::uint64_t caller;
  if (context->is_return_address || preempt::BoundsOf(r.rip, &bounds) ||
      !memory.Read(r.rsp, &caller) || !preempt::BoundsOf(caller - 1, &bounds)) {
    return false;
  }
  r.rip = caller;
  r.rsp += sizeof(caller);
  context->is_return_address = true;
  return true;
}

// Why a walk ended too early, for a reader who wonders.
std::string_view Explain(WalkEnd end) {
  switch (end) {
    case WalkEnd::kNoCfi:
      return "no unwind data";
    case WalkEnd::kBadStack:
      return "not on the goroutine's stack";
    default:
      return {};
  }
}

}  // namespace

Context ContextOfParked(const sched::G* gp) {
  Context context{{}, true};
  urge_context_frame frame;
  const auto sp = reinterpret_cast<std::uintptr_t>(gp->sp);
  if (!gp->stack.Contains(sp) || gp->stack.hi - sp < sizeof(frame)) return context;
  std::memcpy(&frame, gp->sp, sizeof(frame));
  preempt::Registers& r = context.registers;
  r.rip = frame.pc;
  r.rsp = sp + sizeof(frame);
  r.rbp = frame.rbp;
  r.rbx = frame.rbx;
  r.r12 = frame.r12;
  r.r13 = frame.r13;
  r.r14 = frame.r14;
  r.r15 = frame.r15;
  return context;
}

Context ContextOfSignal(const ucontext_t* signal) {
  Context context;
  const greg_t* from = signal->uc_mcontext.gregs;
  const auto at = [from](int index) { return static_cast<std::uint64_t>(from[index]); };
  context.registers = {at(REG_RAX), at(REG_RDX), at(REG_RCX), at(REG_RBX), at(REG_RSI), at(REG_RDI),
                       at(REG_RBP), at(REG_RSP), at(REG_R8),  at(REG_R9),  at(REG_R10), at(REG_R11),
                       at(REG_R12), at(REG_R13), at(REG_R14), at(REG_R15), at(REG_RIP)};
  return context;
}

bool PrintFrame(RawWriter& out, std::uintptr_t pc, Detail detail) {
  char buffer[kSymbolNameBytes];
  const std::string_view name = FunctionName(pc, buffer);
  if (detail == Detail::kUser && IsInternal(pc, name)) return false;
  out << (name.empty() ? "?" : name) << "\n";
  PrintPlace(out, pc);
  out.Flush();  // what is known is out, should the next frame kill us
  return true;
}

WalkEnd PrintFrames(RawWriter& out, const Context& start, StackRange stack, Detail detail) {
  Context context = start;
  int printed = 0;
  if (SkipWildCall(&context, stack)) {
    printed += PrintFrame(out, start.registers.rip, Detail::kSystem);
  }
  std::uintptr_t last[kHalf];  // ring of the outermost frames so far
  std::uint64_t count = 0;
  const WalkEnd end = preempt::WalkFrames(
      context.registers, stack.lo, stack.hi, INT_MAX,
      [&](const preempt::Frame& frame) {
        if (count < kHalf) {
          printed += PrintFrame(out, frame.lookup_pc(), detail);
        } else {
          last[count % kHalf] = frame.lookup_pc();
        }
        ++count;
        return true;
      },
      context.is_return_address);
  if (count > kMaxFrames) {
    out << "..." << count - kMaxFrames << " frames elided...\n";
    printed = 1;
  }
  const std::uint64_t first_kept = count > kMaxFrames ? count - kHalf : kHalf;
  for (std::uint64_t i = first_kept; i < count; ++i) {
    printed += PrintFrame(out, last[i % kHalf], detail);
  }
  if (printed == 0 && count > 0 && detail == Detail::kUser) {
    // Better the runtime's frames than none at all.
    return PrintFrames(out, start, stack, Detail::kSystem);
  }
  if (const std::string_view why = Explain(end); !why.empty()) {
    out << "\t(the traceback ends here: " << why << ")\n";
  }
  return end;
}

int CollectFrames(const Context& start, StackRange stack, std::span<std::uintptr_t> pcs) {
  int count = 0;
  preempt::WalkFrames(
      start.registers, stack.lo, stack.hi, static_cast<int>(pcs.size()),
      [&](const preempt::Frame& frame) {
        pcs[static_cast<std::size_t>(count++)] = frame.lookup_pc();
        return true;
      },
      start.is_return_address);
  return count;
}

}  // namespace urge::traceback

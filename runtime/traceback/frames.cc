#include "runtime/traceback/frames.h"

#include <algorithm>
#include <climits>
#include <cstring>

#include "asm/switch.h"
#include "runtime/preempt/probe.h"
#include "runtime/traceback/lines.h"
#include "runtime/traceback/symbol.h"

namespace urge::traceback {
namespace {

using base::Hex;
using base::RawWriter;
using preempt::FrameWalker;
using preempt::StackRange;
using preempt::WalkEnd;

constexpr int kHalf = kMaxFrames / 2;

// The bare addresses.
void PrintOffset(RawWriter& out, std::uintptr_t pc) {
  const CodePlace place = PlaceOf(pc);
  out << "\t";
  if (!place.module.empty()) {
    out << place.module << "+" << Hex{place.offset} << "\n";
  } else {
    out << Hex{pc} << "\n";
  }
}

// Go, too, tells inlined calls by the dots.
void PrintName(RawWriter& out, std::string_view name, bool inlined) {
  constexpr std::string_view kParentheses = "()";
  if (inlined && name.ends_with(kParentheses)) {
    out << name.substr(0, name.size() - kParentheses.size()) << "(...)\n";
  } else {
    out << (name.empty() ? "?" : name) << "\n";
  }
}

// As Go: the file and line, and how far the function had come.
void PrintLine(RawWriter& out, std::uintptr_t pc, const SourceFrame& frame) {
  out << "\t" << frame.folder << (frame.folder.empty() ? "" : "/") << frame.file << ":"
      << frame.line;
  preempt::FunctionBounds bounds;
  if (!frame.inlined && preempt::BoundsOf(pc, &bounds)) out << " +" << Hex{pc - bounds.begin};
  out << "\n";
}

// Prints the frame as the debug information has it; false if there is none.
bool PrintWithLines(RawWriter& out, std::uintptr_t pc, Detail detail, bool* printed) {
  return ForEachSourceFrame(pc, [&](const SourceFrame& frame) {
    if (detail == Detail::kUser && IsPlumbing(frame)) return;
    PrintName(out, frame.function, frame.inlined);
    PrintLine(out, pc, frame);
    *printed = true;
  });
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
  return {preempt::RegistersOf(*signal), /*is_return_address=*/false};
}

void CaptureStack(const Context& start, StackRange range, Stack* stack) {
  Context context = start;
  stack->total = 0;
  stack->wild_call = SkipWildCall(&context, range);
  if (stack->wild_call) stack->pcs[stack->total++] = start.registers.rip;
  std::uintptr_t last[kHalf];  // ring of the outermost frames so far
  stack->end = preempt::WalkFrames(
      context.registers, range.lo, range.hi, INT_MAX,
      [&](const preempt::Frame& frame) {
        if (stack->total < kHalf) {
          stack->pcs[stack->total] = frame.lookup_pc();
        } else {
          last[stack->total % kHalf] = frame.lookup_pc();
        }
        ++stack->total;
        return true;
      },
      context.is_return_address);
  const std::uint64_t total = stack->total;
  stack->count = static_cast<int>(std::min<std::uint64_t>(total, kMaxFrames));
  for (int i = kHalf; i < stack->count; ++i) {
    stack->pcs[i] = last[(total - static_cast<std::uint64_t>(stack->count - i)) % kHalf];
  }
}

void PrintCreator(RawWriter& out, std::uintptr_t pc, std::uint64_t parent_goid, Places places) {
  const auto print_name = [&](std::string_view name) {
    for (std::string_view noise : {"()", "::operator()"}) {
      if (name.ends_with(noise) && name.size() > noise.size()) name.remove_suffix(noise.size());
    }
    out << "created by " << (name.empty() ? "?" : name);
    if (parent_goid != 0) out << " in goroutine " << parent_goid;
    out << "\n";
  };
  // urge::go is inlined: whoever called it counts.
  bool printed = false;
  const bool known = places == Places::kLines && ForEachSourceFrame(pc, [&](const SourceFrame& f) {
                       if (printed || (f.inlined && IsPlumbing(f))) return;
                       print_name(f.function);
                       PrintLine(out, pc, f);
                       printed = true;
                     });
  if (known) return;
  char buffer[kSymbolNameBytes];
  print_name(FunctionName(pc, buffer));
  PrintOffset(out, pc);
}

bool PrintFrame(RawWriter& out, std::uintptr_t pc, Detail detail, Places places) {
  char buffer[kSymbolNameBytes];
  const std::string_view name = FunctionName(pc, buffer);
  if (detail == Detail::kUser && IsInternal(pc, name)) return false;
  bool printed = false;
  if (places == Places::kOffsets || !PrintWithLines(out, pc, detail, &printed)) {
    PrintName(out, name, false);
    PrintOffset(out, pc);
    printed = true;
  }
  out.Flush();  // what is known is out, should the next frame kill us
  return printed;
}

void PrintStack(RawWriter& out, const Stack& stack, Detail detail, Places places) {
  if (!stack.note.empty()) out << "\t" << stack.note << "\n";
  bool printed = false;
  for (int i = 0; i < stack.count; ++i) {
    if (i == kHalf && stack.total > kMaxFrames) {
      out << "..." << stack.total - kMaxFrames << " frames elided...\n";
    }
    const bool wild = i == 0 && stack.wild_call;
    printed |= PrintFrame(out, stack.pcs[i], wild ? Detail::kSystem : detail, places);
  }
  if (!printed && stack.count > 0 && detail == Detail::kUser) {
    // Better the runtime's frames than none at all.
    return PrintStack(out, stack, Detail::kSystem, places);
  }
  if (const std::string_view why = Explain(stack.end); !why.empty()) {
    out << "\t(the traceback ends here: " << why << ")\n";
  }
}

WalkEnd PrintFrames(RawWriter& out, const Context& start, StackRange range, Detail detail) {
  Stack stack;
  CaptureStack(start, range, &stack);
  PrintStack(out, stack, detail);
  return stack.end;
}

int CollectFrames(const Context& start, StackRange range, std::span<std::uintptr_t> pcs) {
  int count = 0;
  preempt::WalkFrames(
      start.registers, range.lo, range.hi, static_cast<int>(pcs.size()),
      [&](const preempt::Frame& frame) {
        pcs[static_cast<std::size_t>(count++)] = frame.lookup_pc();
        return true;
      },
      start.is_return_address);
  return count;
}

}  // namespace urge::traceback

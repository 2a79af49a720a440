#include "runtime/traceback/traceback.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include "asm/switch.h"
#include "runtime/base/os.h"
#include "runtime/sched/park.h"
#include "runtime/sched/sched.h"
#include "runtime/traceback/snapshot.h"
#include "runtime/traceback/symbol.h"

namespace urge::traceback {
namespace {

using base::Hex;
using base::RawWriter;
using sched::G;
using sched::GStatus;

constexpr std::uint64_t kMinuteNs = 60'000'000'000;

Level g_level = Level::kSingle;  // [c] after Init

// The user's text, on one line and without a way to look like the runtime's.
void PrintEscaped(RawWriter& out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out << '\\' << c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out << "\\x"
          << "0123456789abcdef"[byte >> 4] << "0123456789abcdef"[byte & 15];
    } else {
      out << c;
    }
  }
}

// Go: printcreatedby.
void PrintCreatedBy(RawWriter& out, std::uintptr_t go_pc, std::uint64_t parent_goid,
                    Places places) {
  if (go_pc == 0) return;
  PrintCreator(out, go_pc - 1, parent_goid, places);
}

// Go: printAncestorTraceback.
void PrintAncestors(RawWriter& out, const sched::AncestorRef& ancestors, Places places) {
  if (!ancestors) return;
  for (const sched::Ancestor& ancestor : *ancestors) {
    out << "[originating from goroutine " << ancestor.goid << "]:\n";
    for (const std::uintptr_t pc : ancestor.pcs) PrintFrame(out, pc, DetailForLevel(), places);
    if (ancestor.pcs.size() == static_cast<std::size_t>(kMaxFrames)) {
      out << "...additional frames elided...\n";
    }
    PrintCreatedBy(out, ancestor.go_pc, 0, places);
  }
}

// A goroutine that has not run yet has no frame but the bottom one: it shows where it will start.
// Go gives it a frame for that.
bool IsFresh(const Context& context) {
  const std::uintptr_t rip = context.registers.rip;
  return rip == reinterpret_cast<std::uintptr_t>(&urge_goexit) + URGE_GOEXIT_ENTRY;
}

// How far above `from` memory can be read for certain, up to `limit` bytes.
std::uintptr_t MappedUpTo(std::uintptr_t from, std::size_t limit) {
  const std::uintptr_t page = from & ~(base::kPageBytes - 1);
  std::uintptr_t end = page;
  unsigned char resident;
  while (end - page < limit &&
         mincore(reinterpret_cast<void*>(end), base::kPageBytes, &resident) == 0) {
    end += base::kPageBytes;
  }
  return end;
}

}  // namespace

void Init() {
  InitSymbols();
  const char* value = std::getenv("URGE_TRACEBACK");
  if (value == nullptr || *value == 0) return;
  struct Word {
    std::string_view text;
    Level level;
  };
  constexpr Word kWords[] = {
      {"none", Level::kNone}, {"0", Level::kNone},      {"single", Level::kSingle},
      {"all", Level::kAll},   {"1", Level::kAll},       {"system", Level::kSystem},
      {"2", Level::kSystem},  {"crash", Level::kCrash},
  };
  for (const Word& word : kWords) {
    if (word.text != value) continue;
    g_level = word.level;
    return;
  }
  RawWriter(STDERR_FILENO) << "urge: URGE_TRACEBACK=" << value
                           << " is not one of none, single, all, system, crash\n";
}

Level GetLevel() { return g_level; }

Detail DetailForLevel() { return g_level >= Level::kSystem ? Detail::kSystem : Detail::kUser; }

void FillHeader(G* gp, GStatus status, bool settled, Header* header) {
  header->goid = gp->goid;
  header->parent_goid = gp->parent_goid;
  header->go_pc = gp->go_pc;
  header->status = status;
  header->wait_reason = status == GStatus::kWaiting
                            ? gp->wait_reason.load(std::memory_order_relaxed)
                            : sched::WaitReason::kNone;
  if (status == GStatus::kWaiting || status == GStatus::kSyscall) {
    // The first look dates the wait.
    const std::uint64_t now = base::NowNs();
    std::uint64_t since = 0;
    if (!gp->wait_since_ns.compare_exchange_strong(since, now, std::memory_order_relaxed) &&
        now > since) {
      header->minutes = (now - since) / kMinuteNs;
    }
  }
  header->locked = gp->lock_thread_depth != 0;
  std::memcpy(header->name, gp->name, sizeof(header->name));
  header->name[sizeof(header->name) - 1] = 0;
  if (settled) {
    header->labels = gp->labels;
    header->ancestors = gp->ancestors;
  }
}

void PrintNameAndLabels(RawWriter& out, std::string_view name, const sched::LabelRef& labels) {
  if (!name.empty()) {
    out << " \"";
    PrintEscaped(out, name);
    out << "\"";
  }
  if (!labels || labels->empty()) return;
  std::string_view separator = " {";
  for (const auto& [key, value] : *labels) {
    out << separator;
    PrintEscaped(out, key);
    out << ": ";
    PrintEscaped(out, value);
    separator = ", ";
  }
  out << "}";
}

// Go: goroutineheader.
void PrintHeader(RawWriter& out, const Header& header) {
  out << "goroutine " << header.goid << " ["
      << (header.status == GStatus::kWaiting ? Name(header.wait_reason) : Name(header.status));
  if (header.minutes != 0) out << ", " << header.minutes << " minutes";
  if (header.locked) out << ", locked to thread";
  out << "]";
  PrintNameAndLabels(out, header.name, header.labels);
  out << ":\n";
  out.Flush();
}

void PrintOrigin(RawWriter& out, const Header& header, Places places) {
  PrintCreatedBy(out, header.go_pc, header.parent_goid, places);
  PrintAncestors(out, header.ancestors, places);
  out.Flush();
}

void CaptureParked(const G* gp, Stack* stack) {
  const Context context = ContextOfParked(gp);
  if (!IsFresh(context)) {
    CaptureStack(context, RangeOf(gp), stack);
    return;
  }
  *stack = {};
  stack->pcs[stack->count++] = gp->start_pc;
  stack->total = 1;
}

void PrintRunning(RawWriter& out, G* gp, const Context& context) {
  Header header;
  FillHeader(gp, gp->status.load(std::memory_order_relaxed), true, &header);
  PrintHeader(out, header);
  PrintFrames(out, context, RangeOf(gp), DetailForLevel());
  PrintOrigin(out, header);
}

void PrintRuntimeStack(RawWriter& out, const Context& context) {
  // The thread's stack is not ours, so its bounds are not known; a walk reads upwards only. The
  // frames of an M's loop are few.
  constexpr std::size_t kLimit = 256 << 10;
  const std::uintptr_t rsp = context.registers.rsp;
  out << "runtime stack:\n";
  out.Flush();
  PrintFrames(out, context, {rsp, MappedUpTo(rsp, kLimit)}, Detail::kSystem);
}

void PrintGoroutine(int fd, G* gp) {
  RawWriter out(fd);
  if (gp == sched::CurrentG()) return PrintRunning(out, gp, CaptureContext());
  Header header;
  const GStatus status = gp->status.load(std::memory_order_acquire);
  const bool settled = status != GStatus::kRunning && status != GStatus::kSyscall;
  FillHeader(gp, status, settled, &header);
  PrintHeader(out, header);
  if (status == GStatus::kDead || status == GStatus::kIdle) return;
  Stack stack;
  if (settled) {
    CaptureParked(gp, &stack);
  } else {
    stack.note = status == GStatus::kSyscall
                     ? "goroutine in a system call; stack unavailable"
                     : "goroutine running on other thread; stack unavailable";
  }
  PrintStack(out, stack, DetailForLevel());
  PrintOrigin(out, header);
}

void PrintAllGoroutines(int fd, const G* skip, Places places) {
  // Never destroyed: who dies doesn't free labels, whose memory may be what is broken.
  alignas(Snapshot) char memory[sizeof(Snapshot)];
  auto* snapshot = new (memory) Snapshot;
  if (G* current = sched::CurrentG(); current != nullptr && current != skip) {
    snapshot->AddRunning(current, CaptureContext());
    skip = current;
  }
  snapshot->AddAll(skip);
  if (!snapshot->empty()) base::RawPrint(fd, "\n");
  snapshot->Print(fd, places);
}

}  // namespace urge::traceback

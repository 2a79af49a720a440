#include "runtime/traceback/traceback.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "asm/switch.h"
#include "runtime/base/os.h"
#include "runtime/sched/park.h"
#include "runtime/sched/sched.h"
#include "runtime/traceback/symbol.h"

namespace urge::traceback {
namespace {

using base::Hex;
using base::RawWriter;
using sched::G;
using sched::GStatus;

constexpr std::uint64_t kMinuteNs = 60'000'000'000;

Level g_level = Level::kSingle;  // [c] after Init

Detail DetailForLevel() { return g_level >= Level::kSystem ? Detail::kSystem : Detail::kUser; }

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

// Nobody changes what the traceback reads: it is off its processor, or it is the caller itself.
bool IsSettled(GStatus status, bool is_caller) {
  return is_caller || (status != GStatus::kRunning && status != GStatus::kSyscall);
}

void PrintStatus(RawWriter& out, G* gp, GStatus status) {
  if (status != GStatus::kWaiting && status != GStatus::kSyscall) {
    out << Name(status);
  } else {
    out << (status == GStatus::kSyscall ? Name(status)
                                        : Name(gp->wait_reason.load(std::memory_order_relaxed)));
    // Nobody reads the clock to park: the first look dates the wait.
    const std::uint64_t now = base::NowNs();
    std::uint64_t since = 0;
    if (!gp->wait_since_ns.compare_exchange_strong(since, now, std::memory_order_relaxed) &&
        now > since && now - since >= kMinuteNs) {
      out << ", " << (now - since) / kMinuteNs << " minutes";
    }
  }
  if (gp->lock_thread_depth != 0) out << ", locked to thread";
}

// Go: goroutineheader.
void PrintHeader(RawWriter& out, G* gp, GStatus status, bool is_caller) {
  out << "goroutine " << gp->goid << " [";
  PrintStatus(out, gp, status);
  out << "]";
  if (gp->name[0] != 0) {
    out << " \"";
    PrintEscaped(out, {gp->name, strnlen(gp->name, sizeof(gp->name))});
    out << "\"";
  }
  if (IsSettled(status, is_caller) && gp->labels) {
    std::string_view separator = " {";
    for (const auto& [key, value] : *gp->labels) {
      out << separator;
      PrintEscaped(out, key);
      out << ": ";
      PrintEscaped(out, value);
      separator = ", ";
    }
    if (!gp->labels->empty()) out << "}";
  }
  out << ":\n";
  out.Flush();
}

// Go: printcreatedby.
void PrintCreatedBy(RawWriter& out, std::uintptr_t go_pc, std::uint64_t parent_goid) {
  if (go_pc == 0) return;
  char buffer[kSymbolNameBytes];
  std::string_view name = FunctionName(go_pc - 1, buffer);
  for (std::string_view noise : {"()", "::operator()"}) {
    if (name.ends_with(noise) && name.size() > noise.size()) name.remove_suffix(noise.size());
  }
  out << "created by " << (name.empty() ? "?" : name);
  if (parent_goid != 0) out << " in goroutine " << parent_goid;
  const CodePlace place = PlaceOf(go_pc - 1);
  out << "\n\t" << (place.module.empty() ? "?" : place.module) << "+" << Hex{place.offset} << "\n";
}

// Go: printAncestorTraceback.
void PrintAncestors(RawWriter& out, const G* gp) {
  if (!gp->ancestors) return;
  for (const sched::Ancestor& ancestor : *gp->ancestors) {
    out << "[originating from goroutine " << ancestor.goid << "]:\n";
    for (const std::uintptr_t pc : ancestor.pcs) PrintFrame(out, pc, DetailForLevel());
    if (ancestor.pcs.size() == static_cast<std::size_t>(kMaxFrames)) {
      out << "...additional frames elided...\n";
    }
    PrintCreatedBy(out, ancestor.go_pc, 0);
  }
}

void PrintEnd(RawWriter& out, const G* gp, bool settled) {
  PrintCreatedBy(out, gp->go_pc, gp->parent_goid);
  if (settled) PrintAncestors(out, gp);
  out.Flush();
}

// A goroutine that has not run yet has no frame but the bottom one: it shows where it will start.
// Go gives it a frame for that.
bool IsFresh(const Context& context) {
  const std::uintptr_t rip = context.registers.rip;
  return rip == reinterpret_cast<std::uintptr_t>(&urge_goexit) + URGE_GOEXIT_ENTRY;
}

void PrintParked(RawWriter& out, G* gp) {
  const Context context = ContextOfParked(gp);
  if (IsFresh(context)) {
    PrintFrame(out, gp->start_pc, Detail::kSystem);
    return;
  }
  PrintFrames(out, context, RangeOf(gp), DetailForLevel());
}

void PrintOther(RawWriter& out, G* gp) {
  const GStatus status = gp->status.load(std::memory_order_acquire);
  PrintHeader(out, gp, status, false);
  if (status == GStatus::kDead || status == GStatus::kIdle) return;
  const bool settled = IsSettled(status, false);
  if (settled) {
    PrintParked(out, gp);
  } else {
    out << (status == GStatus::kSyscall
                ? "\tgoroutine in a system call; stack unavailable\n"
                : "\tgoroutine running on other thread; stack unavailable\n");
  }
  PrintEnd(out, gp, settled);
}

bool IsShown(const G* gp, const G* skip) {
  if (gp == skip || (gp->system && g_level < Level::kSystem)) return false;
  const GStatus status = gp->status.load(std::memory_order_acquire);
  return status != GStatus::kDead && status != GStatus::kIdle;
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

void PrintRunning(RawWriter& out, G* gp, const Context& context) {
  PrintHeader(out, gp, gp->status.load(std::memory_order_relaxed), true);
  PrintFrames(out, context, RangeOf(gp), DetailForLevel());
  PrintEnd(out, gp, true);
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
  if (gp == sched::CurrentG()) {
    PrintRunning(out, gp, CaptureContext());
  } else {
    PrintOther(out, gp);
  }
}

void PrintAllGoroutines(int fd, const G* skip) {
  RawWriter out(fd);
  G* current = sched::CurrentG();
  const Context context = CaptureContext();
  const auto print = [&](G* gp) {
    out << "\n";
    if (gp == current) {
      PrintRunning(out, gp, context);
    } else {
      PrintOther(out, gp);
    }
  };
  // The list is push-only, so from a given head it stays as it is. It is newest first, and Gs are
  // reused: sorted by id in memory of its own, since malloc may be what just failed.
  G* const head = sched::FirstGoroutine();
  std::size_t total = 0;
  for (G* gp = head; gp != nullptr; gp = gp->all_next) ++total;
  if (total == 0) return;
  const std::size_t bytes = total * sizeof(G*);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    for (G* gp = head; gp != nullptr; gp = gp->all_next) {
      if (IsShown(gp, skip)) print(gp);
    }
    return;
  }
  G** const first = static_cast<G**>(memory);
  G** last = first;
  for (G* gp = head; gp != nullptr; gp = gp->all_next) {
    if (IsShown(gp, skip)) *last++ = gp;
  }
  // By heap sort: ids that change meanwhile spoil the order only, while std::sort could run off
  // its ends.
  std::make_heap(first, last, [](const G* a, const G* b) { return a->goid < b->goid; });
  std::sort_heap(first, last, [](const G* a, const G* b) { return a->goid < b->goid; });
  for (G** at = first; at != last; ++at) {
    // The one that died meanwhile, of a world that runs, is left out.
    if (IsShown(*at, skip)) print(*at);
  }
  munmap(memory, bytes);
}

}  // namespace urge::traceback

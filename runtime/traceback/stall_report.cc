#include "runtime/traceback/stall_report.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/base/const_init.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "runtime/base/print.h"
#include "runtime/preempt/map.h"
#include "runtime/preempt/stall.h"
#include "runtime/traceback/clerk.h"
#include "runtime/traceback/lines.h"
#include "runtime/traceback/symbol.h"
#include "runtime/traceback/traceback.h"

namespace urge::traceback {
namespace {

using base::RawWriter;
using preempt::StallReport;
using trace::Counter;

ABSL_CONST_INIT absl::Mutex g_printing(absl::kConstInit);

// A line of /proc/self/task/<tid>/status, without its name; empty if the thread is gone.
std::string ThreadStatus(int tid, absl::string_view name) {
  const std::string path = absl::StrCat("/proc/self/task/", tid, "/status");
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  char buffer[4096];
  const ssize_t n = read(fd, buffer, sizeof(buffer));
  close(fd);
  if (n <= 0) return {};
  const absl::string_view text(buffer, static_cast<std::size_t>(n));
  const std::size_t at = text.find(absl::StrCat("\n", name, ":"));
  if (at == text.npos) return {};
  const absl::string_view rest = text.substr(at + name.size() + 2);
  return std::string(absl::StripAsciiWhitespace(rest.substr(0, rest.find('\n'))));
}

// Why no handler has run on the thread.
std::string WhyUnanswered(int tid) {
  const int signal = sched::g_sched.settings.preempt_signal;
  std::uint64_t blocked = 0;
  if (absl::SimpleHexAtoi(ThreadStatus(tid, "SigBlk"), &blocked) &&
      (blocked >> (signal - 1) & 1) != 0) {
    return "it blocks signals, so nobody can interrupt it or see where it is";
  }
  const std::string state = ThreadStatus(tid, "State");
  if (absl::StartsWith(state, "D")) {
    return "its thread sleeps in the kernel and can't be interrupted";
  }
  return "its thread has had no processor since to run the signal's handler: the machine is busy, "
         "or the process is being traced or stopped";
}

std::string Culprit(std::uintptr_t pc) {
  const CodePlace place = PlaceOf(pc);
  const std::string module(place.module.substr(place.module.rfind('/') + 1));
  std::string name;
  // The function proper comes last.
  ForEachSourceFrame(pc, [&](const SourceFrame& frame) { name = frame.function; });
  char buffer[kSymbolNameBytes];
  if (name.empty()) name = FunctionName(pc, buffer);
  if (module.empty()) return absl::StrCat("at 0x", absl::Hex(pc), " in no known module");
  if (name.empty()) return absl::StrCat("at ", module, "+0x", absl::Hex(place.offset));
  return absl::StrCat(name, " in ", module);
}

std::string Why(const StallReport& report) {
  std::string why;
  switch (report.cause) {
    case Counter::kCount:
      return WhyUnanswered(report.tid);
    case Counter::kDeferRuntime:
    case Counter::kDeferRuntimeLock:
      why = absl::StrCat("it is in the runtime, ", Culprit(report.culprit));
      break;
    case Counter::kDeferOpaque:
      why = absl::StrCat("it is in opaque code, ", Culprit(report.culprit));
      break;
    case Counter::kDeferDenied:
      why = absl::StrCat("it is in a function that is denied, ", Culprit(report.culprit));
      break;
    case Counter::kDeferNoPreempt:
      why = "it is in a no-preempt region (urge::no_preempt)";
      break;
    case Counter::kDeferNoRoom:
      why = "there is too little room on its stack";
      break;
    case Counter::kDeferForeignStack:
      why = "it is on a foreign stack";
      break;
    case Counter::kDeferSignalMask:
      why = "it is in a signal handler, or blocks signals";
      break;
    case Counter::kDeferCallback:
      why = absl::StrCat("it is in a callback: below it is ", Culprit(report.culprit),
                         ", which may hold a lock");
      break;
    case Counter::kDeferUnwalkable:
      why = absl::StrCat("its stack can't be walked past ", Culprit(report.culprit));
      break;
    case Counter::kDeferThreads:
      why = "its code is thread-bound, and too many goroutines have a thread of their own already";
      break;
    default:
      why = "it has come to no function prologue, and signals are off (asyncpreemptoff=1)";
      break;
  }
  if (report.in_system_call) why += ", in a system call";
  return why;
}

void Print(const StallReport& report) {
  RawWriter out(STDERR_FILENO);
  char ms[32];
  std::snprintf(ms, sizeof(ms), "%.1f", static_cast<double>(report.asked_ns) / 1e6);
  out << "urge: stall: goroutine " << report.goid;
  PrintNameAndLabels(out, report.name, report.labels);
  out << " was asked to stop " << ms << " ms ago and runs on: " << Why(report) << "\n";
  out << "goroutine " << report.goid << " [running]";
  PrintNameAndLabels(out, report.name, report.labels);
  out << ":\n";
  Stack stack;
  stack.count = report.frames;
  stack.total = static_cast<std::uint64_t>(report.frames);
  std::memcpy(stack.pcs, report.pcs, sizeof(report.pcs));
  if (report.frames == 0) stack.note = "stack unavailable";
  PrintStack(out, stack, DetailForLevel(), Places::kLines);
  if (report.more_frames) out << "...additional frames elided...\n";
  Header header;
  header.go_pc = report.go_pc;
  header.parent_goid = report.parent_goid;
  PrintOrigin(out, header, Places::kLines);
  if (report.suppressed != 0) {
    out << "urge: stall: " << report.suppressed
        << " more of this site since the one before were not shown (" << base::kStallsPerMinute
        << " a minute are)\n";
  }
  out << "\n";
}

}  // namespace

void InstallStallReports() {
  preempt::SetStallHook(RingClerk);
  StartClerk();
}

void PrintStalls() {
  absl::MutexLock lock(&g_printing);
  StallReport report;
  while (preempt::TakeStallReport(&report)) Print(report);
}

void PrintSuppressedStalls() {
  if (const std::uint64_t n = preempt::TakeSuppressedStalls()) {
    RawWriter(STDERR_FILENO) << "urge: stall: " << n << " more were not shown: each site is shown "
                             << base::kStallsPerMinute << " times a minute\n";
  }
}

}  // namespace urge::traceback

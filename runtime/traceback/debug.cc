// dump_goroutines: a snapshot in a memory file, then a copy without the world stopped.
//
// Writing to the descriptor itself may block, on a pipe that another goroutine of the process
// reads, say; so the world must run by then. The memory file keeps this free of allocation.

#include <sys/mman.h>
#include <unistd.h>
#include <urge/debug.h>
#include <urge/go.h>

#include "runtime/base/print.h"
#include "runtime/preempt/stop_the_world.h"
#include "runtime/sched/park.h"
#include "runtime/sched/sched.h"
#include "runtime/sched/start.h"
#include "runtime/traceback/traceback.h"

namespace urge {
namespace {

using namespace urge::traceback;

void PrintWorld(int fd, const Context& context) {
  sched::G* self = sched::CurrentG();
  if (self != nullptr) {
    base::RawWriter out(fd);
    PrintRunning(out, self, context);
  }
  PrintAllGoroutines(fd, self);
}

void Copy(int from, int to) {
  char buffer[4096];
  off_t at = 0;
  for (;;) {
    const ssize_t n = pread(from, buffer, sizeof(buffer), at);
    if (n <= 0) return;
    base::RawPrint(to, {buffer, static_cast<std::size_t>(n)});
    at += n;
  }
}

}  // namespace

void dump_goroutines(int fd) {
  // acquire: pairs with the release at the end of start().
  if (!sched::g_started.load(std::memory_order_acquire)) return;
  const Context context = CaptureContext();
  const int snapshot = memfd_create("urge-goroutines", MFD_CLOEXEC);
  // Who can't be stopped shows as running: no need to look at the result.
  preempt::StopTheWorld();
  PrintWorld(snapshot >= 0 ? snapshot : fd, context);
  preempt::StartTheWorld();
  if (snapshot < 0) return;
  const bool in_goroutine = sched::CurrentG() != nullptr;
  if (in_goroutine) sched::EnterSyscall();
  Copy(snapshot, fd);
  close(snapshot);
  if (in_goroutine) sched::ExitSyscall();
}

}  // namespace urge

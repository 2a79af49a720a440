// dump_goroutines: a snapshot with the world stopped, which is named and printed afterwards.
//
// Debug information takes its time, and the descriptor may block, on a pipe that another goroutine
// of the process reads, say; so the world must run by then.

#include <urge/debug.h>
#include <urge/go.h>

#include "runtime/preempt/stop_the_world.h"
#include "runtime/sched/current.h"
#include "runtime/sched/park.h"
#include "runtime/sched/sched.h"
#include "runtime/sched/start.h"
#include "runtime/traceback/clerk.h"
#include "runtime/traceback/snapshot.h"

namespace urge {
namespace {

using namespace urge::traceback;

// Who can't be stopped by then is looked at through a signal.
constexpr std::uint64_t kStopNs = 500'000'000;

struct Work {
  int fd;
  Snapshot snapshot{};
};

}  // namespace

void dump_goroutines(int fd) {
  // acquire: pairs with the release at the end of start().
  if (!sched::g_started.load(std::memory_order_acquire)) return;
  const Context context = CaptureContext();
  Work work{fd};
  sched::G* self = sched::CurrentG();
  preempt::StopTheWorld(kStopNs);
  if (self != nullptr) work.snapshot.AddRunning(self, context);
  work.snapshot.AddAll(self);
  preempt::StartTheWorld();
  const bool has_p = self != nullptr && sched::CurrentM()->p != nullptr;
  if (has_p) sched::EnterSyscall(sched::SyscallKind::kBlocks);
  if (has_p) sched::HandOffSyscallP(sched::CurrentM());
  const auto print = [](void* work, Places places) {
    static_cast<Work*>(work)->snapshot.Print(static_cast<Work*>(work)->fd, places);
  };
  OnLargeStack(print, &work);
  if (has_p) sched::ExitSyscall();
}

}  // namespace urge

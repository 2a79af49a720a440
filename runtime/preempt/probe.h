// Seeing the stack of a goroutine that runs on another thread and can't be stopped.
//
// The asker leaves a StackProbe with the M and sends it the preemption signal. The handler, on the
// goroutine's own thread, walks the frames from the interrupted registers, puts them into the probe
// and goes on as ever. What is seen is the stack of that moment.
//
// Nobody is signalled inside urge::blocking, unless in a libc call that hides our signals from its
// caller: what it calls might not expect an EINTR.

#ifndef URGE_RUNTIME_PREEMPT_PROBE_H_
#define URGE_RUNTIME_PREEMPT_PROBE_H_

#include <sys/ucontext.h>

#include <atomic>
#include <cstdint>

#include "runtime/preempt/cfi.h"
#include "runtime/sched/m.h"

namespace urge::preempt {

inline constexpr int kProbeFrames = 100;

struct StackProbe {
  const sched::G* wanted = nullptr;
  std::atomic<bool> done{false};
  bool seen = false;  // the goroutine still ran there
  bool more = false;
  int frames = 0;
  std::uintptr_t pcs[kProbeFrames];  // as Frame::lookup_pc
};

// Looks at gp if it runs, or is in a system call, on some M. False if it wasn't seen within that
// time. Signal-safe: yes; but in a handler it may give up where it would have to wait for a lock.
bool ProbeStack(const sched::G* gp, std::uint64_t timeout_ns, StackProbe* probe);

// In the preemption signal's handler, whatever the signal came for.
void AnswerProbe(sched::M* m, const sched::G* gp, const ucontext_t& context);

// The interrupted registers.
Registers RegistersOf(const ucontext_t& context);
// Where the walk of a goroutine begins that was switched off by urge_switch: at a return address.
WalkStart StartOfParked(const sched::G* gp);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_PROBE_H_

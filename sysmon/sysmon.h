// sysmon: the thread without a P that keeps time for all Ps.
//
// Each round it looks at every P and does what is due; then it sleeps until the earliest moment at
// which something can be due, never longer and never shorter:
//   - a running P's slice ends (if somebody waits then, its goroutine is asked to stop);
//   - an unanswered request is to be made again;
//   - a timer is due while no P is idle (a goroutine that has run long gives its P up);
//   - a goroutine doesn't answer since its thread sleeps in the kernel (stuck.h);
//   - a P has been in a system call for kSyscallRetakeNs while somebody waits.
// If a slice is over and nobody waits there is nothing to time: sysmon then sleeps with
// sysmon_watches set, and whoever queues a goroutine, or leaves one queued when it begins to run
// another, wakes it. So a lone CPU-bound goroutine gets no signals, and an idle program costs no
// wake-ups. It never sleeps for longer than a slice without the flag.
//
// Going to sleep loses no wake-up: sysmon sets the flag, issues membarrier, and looks once more.
// The queueing side stores the goroutine and then loads the flag, with no fence: either its store
// is seen by the second look, or its load comes after the flag was set.
//
// Slices are exact, where Go's are 20 ms at the median for 10 promised: Go samples every 10 ms and
// counts from when it first saw the goroutine. Here the start is known where the clock was read
// anyway (after a preemption or a wake-up); a run that began by a voluntary switch is dated when
// sysmon first sees it.
//
// Rejected: polling (Go's 20 us to 10 ms): it is late and costs idle programs wake-ups.
//
// Source: Go's sysmon, retake.

#ifndef URGE_SYSMON_SYSMON_H_
#define URGE_SYSMON_SYSMON_H_

namespace urge::sysmon {

// Starts the thread. Errors: std::system_error.
void Start();
// Makes sysmon look at everything now. Any thread. Signal-safe: yes.
void Wake();

}  // namespace urge::sysmon

#endif  // URGE_SYSMON_SYSMON_H_

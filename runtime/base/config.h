// Every tunable of the runtime, with its unit and the reason for its value.
//
// A constant that a user may want to change at run time has a field in `urge::options` or a key in
// URGE_DEBUG; the value here is then its default.

#ifndef URGE_RUNTIME_BASE_CONFIG_H_
#define URGE_RUNTIME_BASE_CONFIG_H_

#include <cstddef>
#include <cstdint>

namespace urge::base {

inline constexpr std::size_t kCacheLine = 64;
// Processors fetch lines in aligned pairs: what one core writes and another reads at the same time
// lies a pair apart.
inline constexpr std::size_t kCacheLinePair = 128;
inline constexpr std::size_t kPageBytes = 4096;

// --- Scheduling -----------------------------------------------------------------------------

// Slots of a P's local run queue. Go: the length of p.runq. Must be a power of two.
inline constexpr std::uint32_t kRunQueueSlots = 256;
// Every so many ticks a P looks at the global queue first, so that a pair of goroutines that
// respawn each other can't starve it. Go: the 61 in schedule(); prime, so that it doesn't beat
// with a program's own periods.
inline constexpr std::uint32_t kGlobalQueueTick = 61;
// Rounds over all Ps in one attempt to steal; the last round takes timers and runnext too.
inline constexpr int kStealRounds = 4;
// A running P's runnext is left alone this long, since its goroutine is probably about to run it.
inline constexpr std::uint64_t kStealRunnextBackoffNs = 3'000;
// Goroutine ids are handed to Ps in batches, so that a spawn touches no shared word.
inline constexpr std::uint64_t kGoidBatch = 16;
// A P's list of dead goroutines spills at the first figure down to the second, and refills to it.
inline constexpr int kFreeGoroutinesSpill = 64;
inline constexpr int kFreeGoroutinesKeep = 32;
// More threads than this is taken for a bug in the program. Go: debug.SetMaxThreads.
inline constexpr int kMaxThreads = 10'000;
// Upper bound of procs: sizes the fixed array of P pointers, so that it never moves.
inline constexpr int kMaxProcs = 1024;

// Goroutines that keep a thread each because they were preempted in code that is bound to its
// thread. Further ones are not preempted there: a thread costs some 100 KiB, and without a bound
// ten thousand hogs would end the process (kMaxThreads).
inline constexpr int kMaxWiredByFrame = 1'000;

// --- Time slices and preemption ---------------------------------------------------------------

// How long a goroutine may run while another waits. Go: forcePreemptNS.
inline constexpr std::uint64_t kSliceNs = 10'000'000;
inline constexpr std::uint64_t kMinSliceNs = 20'000;
inline constexpr std::uint64_t kMaxSliceNs = 10'000'000'000;
// A goroutine is left alone this long before a wake-up may take its processor, and a processor
// is taken for a wake-up at most once per this interval: the bound that keeps a storm of wake-ups
// from starving the hogs (they keep at least half of the time).
inline constexpr std::uint64_t kWakeupGranularityNs = 100'000;
// So many goroutines woken by timers run one after another, each before the goroutine whose
// processor was taken for the first; those after them queue up behind the others.
inline constexpr std::uint32_t kMaxWakesInARow = 64;
// After the mark in the guard word, a goroutine has this long to reach a prologue before the
// signal follows; instrumented code answers in well under a microsecond.
inline constexpr std::uint64_t kMarkGraceNs = 20'000;
// Of so many stops in a row by signal, two are asked for by the mark first, since the goroutine may
// have come to instrumented code. A power of two.
inline constexpr unsigned kMarkProbeSlices = 16;
// A request that met unsafe code is sent again after this, doubling up to the maximum: a goroutine
// that lives in malloc is hit outside of it sooner or later, at 3 us a try.
inline constexpr std::uint64_t kRetryMinNs = 50'000;
inline constexpr std::uint64_t kRetryMaxNs = 200'000;
// While a signal is on its way to a thread that is off its CPU there is nothing to send.
inline constexpr std::uint64_t kRetryPendingMaxNs = 2'000'000;
// A thread whose goroutine was met in code that can't be interrupted tries again by its own timer
// after this, and up to as much more by chance, so that it does not beat with the program. A try
// costs 3 us, so a goroutine that is overdue loses a tenth of its time to them, and one that is
// outside of such code for a fortieth of it is caught within a millisecond.
inline constexpr std::uint64_t kSelfRetryNs = 20'000;
// A P in a system call is taken away after this when somebody waits. Go: sysmon's 20 us.
inline constexpr std::uint64_t kSyscallRetakeNs = 20'000;
// A goroutine that doesn't answer at the end of its slice is looked into after this, and again: if
// its thread sleeps in the kernel and used less than one part in kStuckCpuShare of the time,
// another P stands in for its P.
inline constexpr std::uint64_t kStuckAfterNs = 1'000'000;
inline constexpr std::uint64_t kStuckCpuShare = 8;
// A goroutine that computes in a library that may not be interrupted, and has been asked to stop
// for so long, has its P stood in for, too: the kernel then shares the processor between the two
// threads. Shorter, and those that only allocate a lot would be; longer, and a ticker that waits
// for a library's call is late by more.
inline constexpr std::uint64_t kForeignAfterNs = 2'000'000;
// And it is interrupted this often to see whether it has come out, and up to as much more.
inline constexpr std::uint64_t kForeignRetryNs = 500'000;
// Such a P is looked at again this often. It tells by itself when its goroutine switches, so this
// is for one that comes out and computes.
inline constexpr std::uint64_t kStuckLookNs = 100'000'000;
// So many Ps stand in for others at most.
inline constexpr int kMaxSparePs = 64;
// Stop-the-world gives up on code that can't be stopped after this.
inline constexpr std::uint64_t kStopTheWorldDeadlineNs = 2'000'000'000;
// Stop-the-world asks again this often. Go: 100 us.
inline constexpr std::uint64_t kStopTheWorldRetryNs = 100'000;

// With URGE_DEBUG=stall, a stall is shown so often a minute for each site.
inline constexpr std::uint32_t kStallsPerMinute = 3;
// A goroutine whose thread hasn't run its signal handler so long after twice the bound is reported
// without a traceback. Threads of a busy machine wait for a few ms.
inline constexpr std::uint64_t kStallGraceNs = 10'000'000;

// So often the waits of goroutines are dated, for tracebacks that tell minutes.
inline constexpr std::uint64_t kDateWaitsNs = 60'000'000'000;

// A suspected deadlock must have lasted this long before it is looked into.
inline constexpr std::uint64_t kDeadlockSettleNs = 20'000'000;

// --- Stacks -----------------------------------------------------------------------------------

// Reserved address space of one goroutine's stack; pages are committed when touched.
inline constexpr std::size_t kStackBytes = 256 * 1024;
inline constexpr std::size_t kMinStackBytes = 32 * 1024;
// Largest stack that may be asked for, and the limit that a runaway recursion is reported with.
inline constexpr std::size_t kMaxStackBytes = std::size_t{1} << 30;
// Room below the guard for code without prologue checks: libc, a signal frame with AMX state
// (11 KiB), the injected frame. At most a quarter of a small stack.
inline constexpr std::size_t kStackReserveBytes = 32 * 1024;
// Closures up to this size are built on the new goroutine's own stack; larger ones are boxed.
inline constexpr std::size_t kMaxInlineClosureBytes = 4096;
// Stacks are carved out of slabs of about this much address space.
inline constexpr std::size_t kStackSlabBytes = 64 << 20;
// Stack tops are staggered by colour * line pair within a page, so that the hot top lines of many
// goroutines don't share cache sets.
inline constexpr std::size_t kStackColours = 16;
inline constexpr std::size_t kStackColourBytes = 128;
// Bytes at the top of a free stack that stay committed; deeper pages are given back by Ms that have
// nothing better to do, so many stacks at a time (a system call each).
inline constexpr std::size_t kStackKeepBytes = 32 * 1024;
inline constexpr int kTrimBatch = 64;

// --- Flight recorder --------------------------------------------------------------------------

// Events of 32 bytes that a ring holds unless URGE_DEBUG=tracebuffer=KIB says otherwise: 4 MiB, a
// second of 100,000 switches. A power of two.
inline constexpr std::size_t kTraceRingEvents = std::size_t{1} << 17;
// A trace that goes to a file is copied out of the rings this often.
inline constexpr std::uint64_t kTraceDrainNs = 5'000'000;
// After a dump for starvation there is no other for so long.
inline constexpr std::uint64_t kStarvationPauseNs = 10'000'000'000;

// --- Locks ------------------------------------------------------------------------------------

// A runtime mutex spins this many rounds of this many pauses before it sleeps. Go: 4 x 30.
inline constexpr int kLockSpinRounds = 4;
inline constexpr int kLockSpinPauses = 30;

}  // namespace urge::base

#endif  // URGE_RUNTIME_BASE_CONFIG_H_

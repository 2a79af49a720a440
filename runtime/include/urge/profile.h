// A sampling profile: which goroutines use the processors, and where.

#ifndef URGE_PROFILE_H_
#define URGE_PROFILE_H_

#include <string_view>

#include <urge/detail/export.h>

namespace urge {

// Begins to sample what goroutines do: each of the runtime's threads is interrupted, by SIGPROF,
// `hz` times in a second of CPU time that it uses. (The kernel's tick, mostly 250 a second, is the
// limit; above it a sample counts for several.) Threads that sleep cost nothing.
//
// profile_stop writes `path`, in folded-stack format, for scripts/flamegraph, flamegraph.pl,
// speedscope and their kin: a line for each stack, outermost first, and how many samples it has:
//
//   worker;{request: 17};goroutine 9;Serve();Parse() 42
//
// A goroutine without a name has "created by FUNCTION" in its place; "(scheduler)" is the runtime
// between goroutines. URGE_DEBUG=profile=PATH samples from the runtime's start to the end of the
// process; profilehz=N sets the rate.
//
// A program may go on using SIGPROF itself: signals that aren't urge's reach its handler.
//
// Errors: std::logic_error if a profile is being taken; std::invalid_argument unless hz is from 1
// to 1000; std::system_error if the file can't be written, no timer is to be had, or SIGPROF was
// blocked where the runtime was started.
// Go: runtime/pprof.StartCPUProfile.
URGE_API void profile_start(std::string_view path, int hz = 100);
// Errors: std::logic_error if no profile is being taken; std::system_error if writing fails.
URGE_API void profile_stop();

}  // namespace urge

#endif  // URGE_PROFILE_H_

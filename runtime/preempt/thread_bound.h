// Thread-bound code: code that may hold something of its thread between two instructions, so that
// it must go on on the same thread, with nobody else's code run there meanwhile.
//
// C++ has no notion of changing threads in the middle of a function, so compilers keep the address
// of a thread_local, or of errno, in a register for as long as they like. Which functions may do so
// is told by their machine code. A function is thread-bound if it
//  1. accesses memory through %fs, the canary and the split-stack guard excepted (code_scan.h), or
//     makes a system call itself;
//  2. calls, or refers to through the GOT, a library function that yields a thread-local's address
//     or the thread's identity (policy.h, YieldsThreadByName; call_targets.h for how names are
//     found);
//  3. calls another function that yields such an address: one whose own code loads the thread
//     pointer or a whole word of thread-local memory, or calls one of 2, or ends in a jump to one
//     that does. (A value that is no address, a narrower load, stays right on any thread.)
//     Libraries of the system, the runtime, and what is denied are judged by 2 alone.
//  4. can't be decoded; or is a part of a function (".cold") whose rest can't be found.
//
// Parts of one function are judged as one: a jump to where no function begins leads to a part.
//
// A function is decoded once. Its verdict is remembered in a fixed table of single words, by its
// first address; see thread_bound.cc.
//
// Not seen, on purpose: addresses that code has stored elsewhere (a member that points to a
// thread_local), those that an indirect call returns, or a callee's callee through an ordinary
// call. Programs that do this keep them right by urge::no_preempt or urge::lock_os_thread.
//
// Rejected: judging by symbols (stripped programs, inlining); taint analysis of the return value
// (the gain is a few functions less that are wired, for a data-flow analysis on g0); decoding all
// text when the map is built (20 ms a megabyte, for functions that are never preempted).

#ifndef URGE_RUNTIME_PREEMPT_THREAD_BOUND_H_
#define URGE_RUNTIME_PREEMPT_THREAD_BOUND_H_

#include <cstdint>

#include "runtime/preempt/cfi.h"

namespace urge::preempt {

// Requires: `function` is preemptible code in a module that can't be unloaded now (the caller has
// a frame of it). Runs on: g0, or any thread. Allocates nothing and takes no lock.
bool IsThreadBound(const FunctionBounds& function);

// Why a function is thread-bound, for reports.
struct ThreadBoundReason {
  enum class Kind : uint8_t { kNot, kTouches, kSystemCall, kCalls, kUndecodable, kPart, kTooLarge };
  Kind kind = Kind::kNot;
  uintptr_t pc = 0;      // of the instruction
  uintptr_t callee = 0;  // kCalls: the function, or the word that leads to it
};
ThreadBoundReason ExplainThreadBound(const FunctionBounds& function);

// Counts one preemption that wired its goroutine because of `function`. Signal-safe: yes.
void CountThreadBound(uintptr_t function_begin);
// Writes what was counted, most frequent first, one line per function:
//   urge: threadbound: 12 x main program: f(int), touches thread-local memory
// Requires: not on g0, not in a signal handler.
void PrintThreadBound(int fd);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_THREAD_BOUND_H_

// What the machine code of one function has to do with its thread, and whom it calls.
//
// 1. The instructions between two addresses are decoded one after the other (Zydis, without
//    operands: the raw fields tell all that is asked).
// 2. Only these are reported: an access through the thread pointer (%fs), a call, a jump out of the
//    range, and a reference to memory relative to the PC (a GOT slot, perhaps).
//
// %fs:0x28 (the canary) and %fs:0x70 (the split-stack guard) belong to the thread too, but hold
// what is right wherever the goroutine runs, so they are not reported.
//
// Decoding is a computation on the stack: no memory is allocated and no lock taken, so it may run
// on g0 and in a handler. Reads only [begin, end), which must be mapped text.
//
// Rejected: a search for the byte 0x64, the segment prefix (it is also the number 100, and half of
// all larger functions contain one).

#ifndef URGE_RUNTIME_PREEMPT_CODE_SCAN_H_
#define URGE_RUNTIME_PREEMPT_CODE_SCAN_H_

#include <cstdint>

namespace urge::preempt {

enum class CodeEvent : uint8_t {
  kTouchesThread,  // reads or writes thread-local memory in place
  kLoadsThread,    // loads the thread pointer, or a whole word from thread-local memory that may
                   // be an address
  kSystemCall,     // the instruction; gettid is one
  kCall,           // to `target`
  kJumpOut,        // conditional or not, to `target` outside of the range
  kReference,      // to the memory at `target`, by whatever instruction
  kCallPointer,    // a call of what a register, or memory by a register, points to
  kCallThrough,    // a call through a pointer at `target`
  kJumpThrough,    // a jump through a pointer at `target`
  kUndecodable,    // the scan ends here
};

struct CodeFact {
  CodeEvent event;
  uintptr_t pc = 0;
  uintptr_t target = 0;
};

// Signal-safe: yes. Runs on: anything with 4 KiB of stack to spare.
class CodeScanner {
 public:
  CodeScanner(uintptr_t begin, uintptr_t end) : begin_(begin), end_(end), at_(begin) {}

  // The next thing worth a report; false at the end.
  bool Next(CodeFact* fact);

 private:
  uintptr_t begin_, end_, at_;
};

// If the code at `address` is a stub that goes on through a pointer (a PLT entry), where that
// pointer is; else 0. Reads 16 bytes at most.  Signal-safe: yes.
uintptr_t SlotOfStub(uintptr_t address);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_CODE_SCAN_H_

// Help from assembly. Runs a function at the bottom of a stack of its own, as a goroutine's entry
// does: the unwind data say that the trampoline has no caller.

#ifndef URGE_TESTS_PREEMPT_ON_STACK_H_
#define URGE_TESTS_PREEMPT_ON_STACK_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runtime/preempt/cfi.h"

// Both routines are local to the file that includes this.
asm(R"(
        .pushsection .text
        .type   test_call_on_stack, @function
test_call_on_stack:
        .cfi_startproc
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        movq    %rsp, %rbx
        movq    %rdx, %rsp
        andq    $-16, %rsp
        .cfi_remember_state
        .cfi_undefined %rip             # the bottom of the new stack
        movq    %rdi, %rax
        movq    %rsi, %rdi
        call    *%rax
        movq    %rbx, %rsp
        .cfi_restore_state
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        ret
        .cfi_endproc
        .size   test_call_on_stack, . - test_call_on_stack

        # Exclusive or, so that one routine sets and clears the flag.
        .type   test_flip_trap_flag, @function
test_flip_trap_flag:
        .cfi_startproc
        pushfq
        .cfi_adjust_cfa_offset 8
        xorq    $0x100, (%rsp)
        popfq
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   test_flip_trap_flag, . - test_flip_trap_flag
        .popsection
)");
extern "C" {
[[gnu::visibility("hidden")]] void test_call_on_stack(void (*function)(void*), void* argument,
                                                      void* stack_top);
// Between two calls a SIGTRAP is raised after each instruction.
[[gnu::visibility("hidden")]] void test_flip_trap_flag();
}

namespace urge::preempt {

class TestStack {
 public:
  static constexpr size_t kBytes = size_t{1} << 20;

  template <class F>
  void Run(F function) {
    test_call_on_stack([](void* self) { (*static_cast<F*>(self))(); }, &function,
                       memory_.get() + kBytes);
  }
  StackRange range() const {
    const uintptr_t lo = reinterpret_cast<uintptr_t>(memory_.get());
    return {lo, lo + kBytes};
  }

 private:
  // With room above the top: libgcc looks there for registers that nobody saved.
  std::unique_ptr<std::byte[]> memory_{new std::byte[kBytes + 256]};
};

// The caller's registers as of its call of this, to be walked with is_return_address.
[[gnu::always_inline]] inline WalkStart CaptureHere() {
  WalkStart start;
  asm volatile(
      "leaq 0(%%rip), %%rax\n"
      "movq %%rax, %[rip]\n"
      "movq %%rsp, %[rsp]\n"
      "movq %%rbp, %[rbp]\n"
      "movq %%rbx, %[rbx]\n"
      "movq %%r12, %[r12]\n"
      "movq %%r13, %[r13]\n"
      "movq %%r14, %[r14]\n"
      "movq %%r15, %[r15]\n"
      : [rip] "=m"(start.rip), [rsp] "=m"(start.rsp), [rbp] "=m"(start.rbp), [rbx] "=m"(start.rbx),
        [r12] "=m"(start.r12), [r13] "=m"(start.r13), [r14] "=m"(start.r14), [r15] "=m"(start.r15)
      :
      : "rax");
  return start;
}

}  // namespace urge::preempt

#endif  // URGE_TESTS_PREEMPT_ON_STACK_H_

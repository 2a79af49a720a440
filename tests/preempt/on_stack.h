// Help from assembly. Runs a function at the bottom of a stack of its own, as a goroutine's entry
// does: the unwind data say that the trampoline has no caller.

#ifndef URGE_TESTS_PREEMPT_ON_STACK_H_
#define URGE_TESTS_PREEMPT_ON_STACK_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runtime/preempt/cfi.h"

// void test_call_on_stack(void (*function)(void*), void* argument, void* stack_top)
extern "C" void test_call_on_stack(void (*function)(void*), void* argument, void* stack_top);

// Between the two a SIGTRAP is raised after each instruction.
extern "C" void test_set_trap_flag();
extern "C" void test_clear_trap_flag();

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
  std::unique_ptr<std::byte[]> memory_{new std::byte[kBytes]};
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

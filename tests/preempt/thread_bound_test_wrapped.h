// A thread_local that needs construction, defined elsewhere: used through its wrapper (_ZTW…).

#ifndef URGE_TESTS_PREEMPT_THREAD_BOUND_TEST_WRAPPED_H_
#define URGE_TESTS_PREEMPT_THREAD_BOUND_TEST_WRAPPED_H_

namespace wrapped {

struct Pair {
  Pair();
  unsigned long first, second;
};
extern thread_local Pair pair;

}  // namespace wrapped

#endif  // URGE_TESTS_PREEMPT_THREAD_BOUND_TEST_WRAPPED_H_

#include "tests/preempt/thread_bound_test_wrapped.h"

#include <unistd.h>

namespace wrapped {

Pair::Pair() : first(static_cast<unsigned long>(getppid())), second(first) {}
thread_local Pair pair;

}  // namespace wrapped

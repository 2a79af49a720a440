// A dump of all goroutines as a string: for programs that wait until goroutines are in a state.

#ifndef URGE_TESTS_SUPPORT_DUMP_H_
#define URGE_TESTS_SUPPORT_DUMP_H_

#include <string>

namespace urge::test {

// What urge::dump_goroutines writes.
std::string DumpText();

}  // namespace urge::test

#endif  // URGE_TESTS_SUPPORT_DUMP_H_

// Checks the map of a program that is linked in a special way, named by the first argument:
//   shared             as usual: std templates are the program's, the C++ runtime is not in it
//   static-libstdc++   with -static-libstdc++ -static-libgcc: its functions are denied, by symbol
//   static             with -static: only C++ functions outside std are preemptible
//   opaque             stripped: nothing is preemptible, and a warning was printed
// Prints what is wrong, and exits with the number of wrong answers.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <locale>
#include <new>
#include <sstream>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "runtime/preempt/map.h"

using urge::preempt::PreemptionMap;
using urge::preempt::TextKind;

extern "C" {
void* __cxa_allocate_exception(std::size_t) noexcept;
void _Unwind_Resume(void*);
}

namespace linked_policy {

[[gnu::noinline]] int UserFunction(int x) { return x * 3 + static_cast<int>(std::cos(x)); }

int wrong = 0;

void Expect(const char* what, const void* pc, TextKind expected) {
  const TextKind kind = PreemptionMap::Classify(reinterpret_cast<std::uintptr_t>(pc) + 1);
  if (kind == expected) return;
  ++wrong;
  std::printf("%s: %s, expected %s\n", what, NameOf(kind).data(), NameOf(expected).data());
}

bool Less(int a, int b) { return a < b; }

// An instance of a standard template for this program: its own code.
const void* HeaderInstance() {
  void (*instance)(std::vector<int>::iterator, std::vector<int>::iterator, bool (*)(int, int)) =
      &std::sort<std::vector<int>::iterator, bool (*)(int, int)>;
  return reinterpret_cast<const void*>(instance);
}

}  // namespace linked_policy

int main(int, char** argv) {
  using namespace linked_policy;
  const std::string_view how = argv[1];
  PreemptionMap::Rebuild();
  std::ostringstream text;  // pulls in streams and locales
  text << std::use_facet<std::numpunct<char>>(std::locale()).decimal_point() << UserFunction(1);

  const bool shared = how == "shared";
  const bool opaque = how == "opaque";
  const bool fully_static = how == "static";
  const TextKind users = opaque ? TextKind::kOpaque : TextKind::kPreemptible;
  const TextKind standard = shared || opaque
                                ? TextKind::kOpaque
                                : TextKind::kDenied;  // in its library, or in the program
  Expect("UserFunction", reinterpret_cast<const void*>(&UserFunction), users);
  Expect("main", reinterpret_cast<const void*>(&main), users);
  Expect("std::sort", HeaderInstance(), fully_static ? TextKind::kOpaque : users);
  Expect("__cxa_allocate_exception", reinterpret_cast<const void*>(&__cxa_allocate_exception),
         standard);
  Expect("_Unwind_Resume", reinterpret_cast<const void*>(&_Unwind_Resume), standard);
  // Where urge stands in for the allocator, C++'s calls back into it: see interpose/ends.cc.
  void* (*const new_operator)(std::size_t) = &operator new;
  Expect("operator new", reinterpret_cast<const void*>(new_operator),
         shared ? TextKind::kCallsBack : standard);
  const std::locale& (*const classic)() = &std::locale::classic;
  Expect("std::locale::classic", reinterpret_cast<const void*>(classic), standard);
  const TextKind stood_in_for = fully_static ? TextKind::kDenied
                                : shared     ? TextKind::kRuntime
                                             : TextKind::kOpaque;
  Expect("malloc", reinterpret_cast<const void*>(&std::malloc), stood_in_for);
  Expect("printf", reinterpret_cast<const void*>(&std::printf),
         stood_in_for);  // it is also called _IO_printf
  if (!opaque) {         // with or without a libc of its own
    Expect("qsort", reinterpret_cast<const void*>(&std::qsort),
           fully_static ? TextKind::kOpaque : TextKind::kCallsBack);
  }
  return wrong + (Less(2, 1) ? 1 : 0);
}

// Standing in for functions of libc, and reaching libc's own.
//
//  1. URGE_INTERPOSE(result, name, (parameters), (arguments)) { body } defines a function of libc's
//     name. A program that links urge before libc, as it must, calls it, and so do the libraries
//     that the program uses; libc's inner calls (fread's read, say) don't.
//  2. libc_<name> in the body is libc's own: whatever comes next in the search order, asked for
//     when the library is initialised. A call that comes earlier asks by itself.
//
// The name is given to the assembler only. So the definition meets no declaration in a header, with
// its attributes, and isn't noexcept: cancellation unwinds a plain thread through it, and on plain
// threads cancellation points stay cancellation points.
//
// In a program without a dynamic linker there is no next one; it must be linked with
// liburge-plain.a, which leaves this folder out (HACKING.md, "Standing in for libc").
//
// Rejected: --wrap (each user's link would have to name every function, and shared libraries would
// not be covered); LD_AUDIT and LD_PRELOAD (not ours to set).

#ifndef URGE_RUNTIME_INTERPOSE_LIBC_H_
#define URGE_RUNTIME_INTERPOSE_LIBC_H_

#include <atomic>

#include <urge/detail/export.h>

namespace urge::interpose {

// The next definition of a function in the search order; null if there is none.
void* FromLibc(const char* name);
[[noreturn]] void FatalMissing(const char* name);

// A function of libc. Starts out as one that looks for it, so that a call costs no test.
template <class F>
class LibcFunction;
template <class R, class... A>
class LibcFunction<R(A...)> {
 public:
  constexpr explicit LibcFunction(R (*finder)(A...)) : function_(finder) {}
  R operator()(A... arguments) const {
    return function_.load(std::memory_order_relaxed)(arguments...);
  }
  bool Find(const char* name) {
    void* found = FromLibc(name);
    if (found == nullptr) return false;  // an older libc; a call will say so
    function_.store(reinterpret_cast<R (*)(A...)>(found), std::memory_order_relaxed);
    return true;
  }

 private:
  std::atomic<R (*)(A...)> function_;  // [a] written with the same value only
};

// libc_<name>, for a function that isn't stood in for. `find` is an expression that has it found,
// and tells whether it was.
#define URGE_LIBC_FOUND_BY(find, result, name, parameters, arguments)                           \
  static result find_##name parameters;                                                         \
  static constinit ::urge::interpose::LibcFunction<result parameters> libc_##name(find_##name); \
  [[gnu::constructor]] static void init_##name() { static_cast<void>(find); }                   \
  static result find_##name parameters {                                                        \
    if (!(find)) ::urge::interpose::FatalMissing(#name);                                        \
    return libc_##name arguments;                                                               \
  }
#define URGE_LIBC(result, name, parameters, arguments) \
  URGE_LIBC_FOUND_BY(libc_##name.Find(#name), result, name, parameters, arguments)

#define URGE_INTERPOSE_FOUND_BY(find, result, name, parameters, arguments) \
  URGE_LIBC_FOUND_BY(find, result, name, parameters, arguments)            \
  extern "C" URGE_API result interposed_##name parameters __asm__(#name);  \
  extern "C" result interposed_##name parameters
#define URGE_INTERPOSE(result, name, parameters, arguments) \
  URGE_INTERPOSE_FOUND_BY(libc_##name.Find(#name), result, name, parameters, arguments)

}  // namespace urge::interpose

#endif  // URGE_RUNTIME_INTERPOSE_LIBC_H_

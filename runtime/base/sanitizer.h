// The sanitizers that may be in the process, and what they must be told.
//
//  1. AddressSanitizer keeps a shadow of each stack and ThreadSanitizer a history of each thread,
//  so
//     both must hear of every switch to another stack: sched/fiber.h.
//  2. ThreadSanitizer sees no synchronisation that is done by code without its instrumentation. A
//     program that is built with it and linked with an ordinary liburge hears through
//     AnnotateRelease and AnnotateAcquire what happens before what; they stand where the runtime
//     hands something of a user's from one goroutine to another.
//  3. LeakSanitizer looks for pointers on the stacks of threads, and must be told of the others.
//     (Without ASan it takes what is allocated on a goroutine for the loader's, and never reports
//     it.)
//
//  4. Valgrind takes a large change of RSP for a large frame, unless it knows both stacks.
//
// One library serves programs with and without sanitizers: their functions are weak references,
// null where the sanitizer is absent. That costs a load and a branch that is always predicted.
//
// In a runtime that is itself built with -fsanitize=thread (make tsan) the annotations are empty:
// there its own atomics are seen, and annotations would hide its bugs.
//
// Source: compiler-rt's sanitizer/common_interface_defs.h, tsan_interface.h, lsan_interface.h.

#ifndef URGE_RUNTIME_BASE_SANITIZER_H_
#define URGE_RUNTIME_BASE_SANITIZER_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/check.h"

// clang says it by __has_feature, gcc by a macro.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define URGE_BUILT_WITH_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define URGE_BUILT_WITH_TSAN 1
#endif

extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack_save, const void* bottom,
                                                  std::size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom_before,
                                                   std::size_t* size_before);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* address, std::size_t size);
[[gnu::weak]] void __lsan_register_root_region(const void* address, std::size_t size);
[[gnu::weak]] void __lsan_unregister_root_region(const void* address, std::size_t size);
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* address);
[[gnu::weak]] void __tsan_release(void* address);
}

namespace urge::base {

#ifdef URGE_BUILT_WITH_TSAN
inline constexpr bool kBuiltWithTsan = true;
#else
inline constexpr bool kBuiltWithTsan = false;
#endif

// Is the process running under the sanitizer? Signal-safe: yes.
inline bool HasAsan() { return __sanitizer_start_switch_fiber != nullptr; }
inline bool HasTsan() { return __tsan_switch_to_fiber != nullptr; }
inline bool HasLsan() { return __lsan_register_root_region != nullptr; }  // HasAsan() or alone

// Any of them: one look on fast paths. Set by FindSanitizers, before the first goroutine.
extern bool g_has_sanitizer;  // [c]
extern bool g_on_valgrind;    // [c]
void FindSanitizers();
inline bool HasSanitizer() { return g_has_sanitizer; }
// Is the code at `pc` a sanitizer's own, in a library of its own? What it calls of libc, to read
// symbols for a report, it may call under its locks: nobody may be switched off for it. (Where a
// sanitizer is linked into the program, as clang does, it makes its system calls itself.)
bool IsSanitizerText(const void* pc);

inline bool HasValgrind() { return g_on_valgrind; }

// Makes [lo, hi) a stack to Valgrind, until the id is given back. Requires: HasValgrind().
unsigned RegisterStackWithValgrind(std::uintptr_t lo, std::uintptr_t hi);
// All of it may then be written again: the next closure is built where nobody's frame is yet.
void DeregisterStackWithValgrind(unsigned id, std::uintptr_t lo, std::uintptr_t hi);
// RSP goes down to `sp` from `before`, and Valgrind won't see it: what a push may write to, down to
// the end of the red zone, is stack from now on. Signal-safe: yes. Requires: HasValgrind().
void LowerStackForValgrind(std::uintptr_t before, std::uintptr_t sp);

// What the caller has done so far happens before whatever follows an AnnotateAcquire of the same
// address; an atomic acquire of instrumented code at that address does as well.
inline void AnnotateRelease(const void* address) {
  if (!kBuiltWithTsan && URGE_UNLIKELY(__tsan_release != nullptr)) {
    __tsan_release(const_cast<void*>(address));
  }
}
inline void AnnotateAcquire(const void* address) {
  if (!kBuiltWithTsan && URGE_UNLIKELY(__tsan_acquire != nullptr)) {
    __tsan_acquire(const_cast<void*>(address));
  }
}

}  // namespace urge::base

#endif  // URGE_RUNTIME_BASE_SANITIZER_H_

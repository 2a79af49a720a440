// The ends of calls in which much time is spent, and which nobody can interrupt: memory, formatting
// and stdio, numbers and dates.
//
// A goroutine that lives in such calls is hardly ever met outside of them. So each ends like a
// function built with -fsplit-stack begins: RSP is compared with the guard, and who is asked to
// stop does so here (EndOfCall). The handler that meets the inside of a call sets the mark. libc's
// frames are gone by then; those below are looked at as after any mark, so that a malloc inside
// fopen, say, or under the loader's lock, stops nobody.
//
// On any thread this costs a call and a compare, a nanosecond or two; there is no look at the M.
//
// malloc's family is made weak (scripts/link-runtime): a program that brings its own allocator
// keeps it. Functions of variable arguments go to libc's of a va_list, which are the same code.
//
// Not here: what blocks (calls.cc), and what returns in a few instructions or is interrupted
// freely.

#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <ctime>

#include "runtime/base/sanitizer.h"
#include "runtime/interpose/goroutine.h"
#include "runtime/interpose/libc.h"

namespace urge::interpose {

void ServeRequest(const void* caller) {
  const sched::M* m = sched::CurrentM();
  if (m != nullptr && IsGoroutineCall(m, caller)) urge::detail::checkpoint_slow();
}

// dlsym frees the message of an earlier failure: all of malloc's family is found at once, when it
// is first called, which is before there can be such a message.
static bool FindMemory();

#define URGE_ENDING(result, name, parameters, arguments)                                  \
  URGE_INTERPOSE_FOUND_BY(libc_##name.Find(#name), result, name, parameters, arguments) { \
    result const value = libc_##name arguments;                                           \
    EndOfCall(__builtin_return_address(0));                                               \
    return value;                                                                         \
  }
// LeakSanitizer knows by the caller whose memory it is (the loader's is never a leak): under it
// the call is a jump, which leaves the caller where it looks for it.
#define URGE_MEMORY(result, name, parameters, arguments)                       \
  URGE_INTERPOSE_FOUND_BY(FindMemory(), result, name, parameters, arguments) { \
    if (URGE_UNLIKELY(base::HasLsan())) return libc_##name arguments;          \
    result const value = libc_##name arguments;                                \
    EndOfCall(__builtin_return_address(0));                                    \
    return value;                                                              \
  }

// The same as libc's v-function with the arguments that follow `last`.
#define URGE_ENDING_VARIADIC(name, parameters, last, vfunction, ...)   \
  extern "C" URGE_API int interposed_##name parameters __asm__(#name); \
  extern "C" int interposed_##name parameters {                        \
    va_list rest;                                                      \
    va_start(rest, last);                                              \
    const int value = libc_##vfunction(__VA_ARGS__, rest);             \
    va_end(rest);                                                      \
    EndOfCall(__builtin_return_address(0));                            \
    return value;                                                      \
  }

// clang-format off

// ---- Memory ----

URGE_MEMORY(void*, malloc, (size_t n), (n))
URGE_MEMORY(void*, calloc, (size_t n, size_t size), (n, size))
URGE_MEMORY(void*, realloc, (void* data, size_t n), (data, n))
URGE_MEMORY(void*, memalign, (size_t alignment, size_t n), (alignment, n))
URGE_MEMORY(void*, aligned_alloc, (size_t alignment, size_t n), (alignment, n))
URGE_MEMORY(int, posix_memalign, (void** data, size_t alignment, size_t n), (data, alignment, n))
URGE_INTERPOSE_FOUND_BY(FindMemory(), void, free, (void* data), (data)) {
  if (URGE_UNLIKELY(base::HasLsan())) return libc_free(data);
  libc_free(data);
  EndOfCall(__builtin_return_address(0));
}

static bool FindMemory() {
  return libc_malloc.Find("malloc") && libc_calloc.Find("calloc") && libc_realloc.Find("realloc") &&
         libc_free.Find("free") && libc_memalign.Find("memalign") &&
         libc_aligned_alloc.Find("aligned_alloc") && libc_posix_memalign.Find("posix_memalign");
}

// ---- Formatting and scanning; _chk is what _FORTIFY_SOURCE makes of them ----

URGE_ENDING(int, vsnprintf, (char* out, size_t n, const char* format, va_list rest), (out, n, format, rest))
URGE_ENDING(int, vsprintf, (char* out, const char* format, va_list rest), (out, format, rest))
URGE_ENDING(int, vprintf, (const char* format, va_list rest), (format, rest))
URGE_ENDING(int, vfprintf, (FILE* file, const char* format, va_list rest), (file, format, rest))
URGE_ENDING(int, __vsnprintf_chk, (char* out, size_t n, int flag, size_t size, const char* format, va_list rest), (out, n, flag, size, format, rest))
URGE_ENDING(int, __vsprintf_chk, (char* out, int flag, size_t size, const char* format, va_list rest), (out, flag, size, format, rest))
URGE_ENDING(int, __vprintf_chk, (int flag, const char* format, va_list rest), (flag, format, rest))
URGE_ENDING(int, __vfprintf_chk, (FILE* file, int flag, const char* format, va_list rest), (file, flag, format, rest))
URGE_ENDING(int, __isoc99_vsscanf, (const char* text, const char* format, va_list rest), (text, format, rest))
URGE_ENDING_VARIADIC(snprintf, (char* out, size_t n, const char* format, ...), format, vsnprintf, out, n, format)
URGE_ENDING_VARIADIC(sprintf, (char* out, const char* format, ...), format, vsprintf, out, format)
URGE_ENDING_VARIADIC(printf, (const char* format, ...), format, vprintf, format)
URGE_ENDING_VARIADIC(fprintf, (FILE* file, const char* format, ...), format, vfprintf, file, format)
URGE_ENDING_VARIADIC(__snprintf_chk, (char* out, size_t n, int flag, size_t size, const char* format, ...), format, __vsnprintf_chk, out, n, flag, size, format)
URGE_ENDING_VARIADIC(__sprintf_chk, (char* out, int flag, size_t size, const char* format, ...), format, __vsprintf_chk, out, flag, size, format)
URGE_ENDING_VARIADIC(__printf_chk, (int flag, const char* format, ...), format, __vprintf_chk, flag, format)
URGE_ENDING_VARIADIC(__fprintf_chk, (FILE* file, int flag, const char* format, ...), format, __vfprintf_chk, file, flag, format)
URGE_ENDING_VARIADIC(__isoc99_sscanf, (const char* text, const char* format, ...), format, __isoc99_vsscanf, text, format)

// ---- stdio ----

URGE_ENDING(size_t, fread, (void* data, size_t size, size_t n, FILE* file), (data, size, n, file))
URGE_ENDING(size_t, fwrite, (const void* data, size_t size, size_t n, FILE* file), (data, size, n, file))
URGE_ENDING(int, fflush, (FILE* file), (file))
URGE_ENDING(char*, fgets, (char* out, int n, FILE* file), (out, n, file))
URGE_ENDING(int, fgetc, (FILE* file), (file))
URGE_ENDING(int, getc, (FILE* file), (file))
URGE_ENDING(int, getchar, (), ())
URGE_ENDING(int, fputs, (const char* text, FILE* file), (text, file))
URGE_ENDING(int, puts, (const char* text), (text))
URGE_ENDING(int, fputc, (int c, FILE* file), (c, file))
URGE_ENDING(int, putc, (int c, FILE* file), (c, file))
URGE_ENDING(int, putchar, (int c), (c))

// ---- Numbers, dates ----

URGE_ENDING(long, strtol, (const char* text, char** end, int base), (text, end, base))
URGE_ENDING(long long, strtoll, (const char* text, char** end, int base), (text, end, base))
URGE_ENDING(unsigned long, strtoul, (const char* text, char** end, int base), (text, end, base))
URGE_ENDING(unsigned long long, strtoull, (const char* text, char** end, int base), (text, end, base))
URGE_ENDING(float, strtof, (const char* text, char** end), (text, end))
URGE_ENDING(double, strtod, (const char* text, char** end), (text, end))
URGE_ENDING(long double, strtold, (const char* text, char** end), (text, end))
URGE_ENDING(int, rand, (), ())
URGE_ENDING(long, random, (), ())
URGE_ENDING(tm*, localtime_r, (const time_t* time, tm* out), (time, out))
URGE_ENDING(tm*, gmtime_r, (const time_t* time, tm* out), (time, out))
URGE_ENDING(time_t, mktime, (tm* time), (time))
URGE_ENDING(size_t, strftime, (char* out, size_t n, const char* format, const tm* time), (out, n, format, time))
// clang-format on

}  // namespace urge::interpose

#include "runtime/base/sanitizer.h"

#include <dlfcn.h>
#include <link.h>

// Where the runtime is built without Valgrind's header, Valgrind is not told.
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_STACK_REGISTER(lo, hi) (static_cast<void>(lo), static_cast<void>(hi), 0u)
#define VALGRIND_STACK_DEREGISTER(id) static_cast<void>(id)
#define VALGRIND_MAKE_MEM_UNDEFINED(lo, bytes) (static_cast<void>(lo), static_cast<void>(bytes))
#endif

namespace urge::base {

namespace {

constinit const char* g_text_begin = nullptr;  // [c]
constinit const char* g_text_end = nullptr;    // [c]

void FindText(void* function) {
  dl_find_object object{};
  if (_dl_find_object(function, &object) != 0) return;
  if (object.dlfo_link_map->l_name[0] == 0) return;  // the program
  g_text_begin = static_cast<const char*>(object.dlfo_map_start);
  g_text_end = static_cast<const char*>(object.dlfo_map_end);
}

}  // namespace

constinit bool g_has_sanitizer = false;
constinit bool g_on_valgrind = false;

void FindSanitizers() {
  g_on_valgrind = RUNNING_ON_VALGRIND != 0;
  g_has_sanitizer = HasAsan() || HasTsan() || HasLsan() || g_on_valgrind;
  if (HasTsan()) {
    FindText(reinterpret_cast<void*>(&__tsan_switch_to_fiber));
  } else if (HasLsan()) {
    FindText(reinterpret_cast<void*>(&__lsan_register_root_region));
  }
}

bool IsSanitizerText(const void* pc) { return pc >= g_text_begin && pc < g_text_end; }

unsigned RegisterStackWithValgrind(std::uintptr_t lo, std::uintptr_t hi) {
  return static_cast<unsigned>(VALGRIND_STACK_REGISTER(lo, hi - 1));
}

void DeregisterStackWithValgrind(unsigned id, std::uintptr_t lo, std::uintptr_t hi) {
  VALGRIND_STACK_DEREGISTER(id);
  VALGRIND_MAKE_MEM_UNDEFINED(lo, hi - lo);
}

void LowerStackForValgrind(std::uintptr_t before, std::uintptr_t sp) {
  constexpr std::uintptr_t kRedZoneBytes = 128;
  VALGRIND_MAKE_MEM_UNDEFINED(sp - kRedZoneBytes, before - sp);
}

}  // namespace urge::base

// The C API, in terms of the C++ one: exceptions become errno values here.

#include <urge/c.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>
#include <stdexcept>
#include <system_error>

#include <urge/detail/event.h>
#include <urge/urge.h>

namespace {

using urge::detail::event;
static_assert(sizeof(event) == sizeof(urge_run_call::done) &&
              alignof(event) == alignof(std::uintptr_t));

template <class F>
int CatchAll(F&& f) noexcept {
  const int saved_errno = errno;
  int error = 0;
  try {
    f();
  } catch (const std::bad_alloc&) {
    error = ENOMEM;
  } catch (const std::system_error& e) {
    error = e.code().value() != 0 ? e.code().value() : EAGAIN;
  } catch (const std::invalid_argument&) {
    error = EINVAL;
  } catch (const std::logic_error&) {
    error = EALREADY;
  }
  errno = saved_errno;
  return error;
}

struct Call {
  void (*fn)(void*);
  void* arg;
};

// Call::fn(Call::arg), as a jump: a frame of the runtime below a user's function would forbid its
// preemption.
// rdi = Call*:   fn = rdi->fn;  rdi = rdi->arg;  goto fn;
__attribute__((naked)) void RunCall(void*) {
  asm("movq %c[fn](%%rdi), %%rax\n\t"
      "movq %c[arg](%%rdi), %%rdi\n\t"
      "jmp *%%rax"
      :
      : [fn] "i"(offsetof(Call, fn)), [arg] "i"(offsetof(Call, arg)));
}

static_assert(URGE_GO_COPY_MAX <= urge::detail::max_inline_closure);

}  // namespace

int urge_go(void (*fn)(void*), void* arg) noexcept {
  if (fn == nullptr) return EINVAL;
  return CatchAll([&] {
    const urge::detail::spawn_slot slot =
        urge::detail::spawn_prepare(sizeof(Call), alignof(Call), nullptr);
    ::new (slot.closure) Call{fn, arg};
    urge::detail::spawn_commit(slot.goroutine, RunCall, reinterpret_cast<const void*>(fn));
  });
}

int urge_go_copy(void (*fn)(void*), const void* arg, size_t bytes) noexcept {
  if (fn == nullptr || (arg == nullptr && bytes != 0)) return EINVAL;
  if (bytes > URGE_GO_COPY_MAX) return E2BIG;
  return CatchAll([&] {
    const urge::detail::spawn_slot slot =
        urge::detail::spawn_prepare(bytes, alignof(std::max_align_t), nullptr);
    if (bytes != 0) std::memcpy(slot.closure, arg, bytes);
    urge::detail::spawn_commit(slot.goroutine, fn, reinterpret_cast<const void*>(fn));
  });
}

int urge_run_and_wait(void (*body)(void*), urge_run_call* call) noexcept {
  if (call->fn == nullptr) return EINVAL;
  auto* const done = ::new (&call->done) event;
  const int error = urge_go(body, call);
  if (error == 0) done->wait();
  return error;
}

void urge_run_is_done(urge_run_call* call) noexcept {
  std::launder(reinterpret_cast<event*>(&call->done))->set();
}

int urge_start(int procs) noexcept {
  return CatchAll([&] {
    urge::options options;
    options.procs = procs;
    urge::start(options);
  });
}

void urge_yield(void) noexcept { urge::yield(); }
uint64_t urge_goid(void) noexcept { return urge::goid(); }

void urge_sleep_ns(int64_t ns) noexcept { urge::sleep_for(std::chrono::nanoseconds(ns)); }

int urge_procs(void) noexcept { return urge::procs(); }
int urge_set_procs(int n) noexcept {
  return CatchAll([&] { urge::set_procs(n); });
}
size_t urge_goroutines(void) noexcept { return urge::goroutines(); }

void urge_lock_os_thread(void) noexcept { urge::lock_os_thread(); }
void urge_unlock_os_thread(void) noexcept { urge::unlock_os_thread(); }

void urge_blocking_enter(void) noexcept { urge::detail::blocking_enter(); }
void urge_blocking_leave(void) noexcept { urge::detail::blocking_leave(); }

void urge_no_preempt_enter(void) noexcept { urge::detail::no_preempt_enter(); }
void urge_no_preempt_leave(void) noexcept { urge::detail::no_preempt_leave(); }
void urge_checkpoint(void) noexcept { urge::checkpoint(); }

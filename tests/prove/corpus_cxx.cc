// corpus_cxx.cc: compiled routines of the proof: varargs, frames, exceptions, context switches.

#include <alloca.h>

#include <cfenv>
#include <cstdarg>
#include <cstdlib>
#include <stdexcept>

#include "asm/switch.h"
#include "tests/prove/corpus.h"

namespace {

[[gnu::noinline]] std::uint64_t SumOf(int count, ...) {
  std::va_list list;
  va_start(list, count);
  std::uint64_t sum = 0;
  for (int i = 0; i < count; ++i) {
    sum = sum * 31 + va_arg(list, std::uint64_t) + static_cast<std::uint64_t>(va_arg(list, double));
  }
  va_end(list);
  return sum;
}

[[gnu::noinline]] std::uint64_t Recurse(int depth, std::uint64_t a, std::uint64_t b) {
  auto* block = static_cast<volatile unsigned char*>(alloca(16 + (a & 63)));
  for (int i = 0; i < 8; ++i) block[i] = static_cast<unsigned char>(a >> i);
  std::uint64_t sum = block[0] + block[7];
  if (depth > 0) sum += Recurse(depth - 1, b, a + sum) * 3 + Recurse(depth - 2, a ^ b, b);
  return sum + a - b;
}

struct Counted {
  explicit Counted(std::uint64_t* count) : count_(count) {}
  ~Counted() { *count_ = *count_ * 31 + 1; }
  std::uint64_t* count_;
};

[[gnu::noinline]] void Thrower(int depth, std::uint64_t* count) {
  Counted counted(count);
  if (depth == 0) throw static_cast<int>(*count & 7);
  Thrower(depth - 1, count);
  *count += 1000;
}

struct PingPong {
  void* main_sp = nullptr;
  void* routine_sp = nullptr;
  std::uint64_t sum = 1;
  bool done = false;
  int rounding = FE_TONEAREST;  // of the body
  bool kept = true;
  alignas(64) char stack[64 << 10];
};

void Published(void* p) { static_cast<PingPong*>(p)->sum *= 31; }

bool RoundingIs(int mode);

void PingPongBody(void* p) {
  auto* pp = static_cast<PingPong*>(p);
  for (int i = 0; i < 4; ++i) {
    pp->sum += static_cast<std::uint64_t>(i);
    pp->kept = pp->kept && RoundingIs(pp->rounding);
    urge_switch(&pp->routine_sp, pp->main_sp, i & 1 ? Published : nullptr, pp);
  }
  pp->done = true;
  urge_switch(&pp->routine_sp, pp->main_sp, nullptr, nullptr);
}

PingPong ping_pong;

// Both units' rounding; <cfenv> reads x87's alone.
bool RoundingIs(int mode) {
  std::uint32_t mxcsr;
  std::uint16_t fcw;
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
  __asm__ volatile("fnstcw %0" : "=m"(fcw));
  return (fcw & 0xc00) == mode && (mxcsr >> 3 & 0xc00) == static_cast<std::uint32_t>(mode);
}

std::uint64_t RunPingPong() {
  ping_pong.sum = 1;
  ping_pong.done = false;
  ping_pong.routine_sp =
      urge_make_context(ping_pong.stack + sizeof ping_pong.stack, PingPongBody, &ping_pong);
  std::uint64_t expected = 1;
  for (std::uint64_t i = 0; !ping_pong.done; ++i) {
    urge_switch(&ping_pong.main_sp, ping_pong.routine_sp, Published, &ping_pong);
    expected = expected * 31 + (i < 4 ? i : 0);
    if (i & 1 && i < 4) expected *= 31;
  }
  return ping_pong.sum == expected ? expected : 0;
}

}  // namespace

extern "C" {

void urge_goexit0() { std::abort(); }

std::uint64_t corpus_varargs(void* scratch) {
  auto* words = static_cast<std::uint64_t*>(scratch);
  return SumOf(6, words[0], 1.5, words[1], 2.5, words[2], 3.5, words[3], 4.5, words[4], 5.5,
               words[5], 6.5);
}

std::uint64_t corpus_frames(void* scratch) {
  auto* words = static_cast<std::uint64_t*>(scratch);
  return Recurse(4, words[0], words[1]);
}

std::uint64_t corpus_throw(void*) {
  std::uint64_t count = 3;
  for (int depth = 0; depth < 2; ++depth) {
    try {
      try {
        Thrower(depth, &count);
      } catch (int value) {
        count += static_cast<std::uint64_t>(value);
        throw;
      }
    } catch (...) {
      count *= 17;
    }
  }
  return count;
}

std::uint64_t corpus_switch(void*) { return RunPingPong(); }

alignas(64) static char bare_stack[64 << 10];
void* corpus_bare_sp[2];
void corpus_prepare_bare() {
  corpus_bare_sp[1] = urge_make_context(bare_stack + sizeof bare_stack, corpus_bare_body, nullptr);
}
void corpus_published(void*) { ++bare_stack[0]; }

// The two sides of a switch round differently, so both control words are loaded each time.
std::uint64_t corpus_control_words(void*) {
  ping_pong.sum = 1;
  ping_pong.done = false;
  const int rounding = std::fegetround();
  std::fesetround(FE_UPWARD);
  ping_pong.rounding = FE_UPWARD;
  ping_pong.kept = true;
  ping_pong.routine_sp =
      urge_make_context(ping_pong.stack + sizeof ping_pong.stack, PingPongBody, &ping_pong);
  std::fesetround(FE_TOWARDZERO);
  while (!ping_pong.done) {
    urge_switch(&ping_pong.main_sp, ping_pong.routine_sp, Published, &ping_pong);
    ping_pong.kept = ping_pong.kept && RoundingIs(FE_TOWARDZERO);
    ping_pong.sum = ping_pong.sum * 5 + 1;
  }
  std::fesetround(rounding);
  ping_pong.rounding = FE_TONEAREST;
  return ping_pong.kept ? ping_pong.sum : 0;
}

}  // extern "C"

// A goroutine that can't be stopped, in the way that the first argument names, beside one that is
// on time: for tests of URGE_DEBUG=stall.
// link: -lz

#include <pthread.h>
#include <signal.h>
#include <urge/urge.h>
#include <zlib.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::atomic<bool> g_stop{false};

bool Over() { return g_stop.load(std::memory_order_relaxed); }

}  // namespace

[[gnu::noinline]] void Compute(std::chrono::milliseconds time) {
  for (const auto end = Clock::now() + time; Clock::now() < end;) {
    for (int i = 0; i < 100000; ++i) asm volatile("" : : "r"(i));
  }
}

[[gnu::noinline]] void HoldOff(std::chrono::milliseconds time) {
  const urge::no_preempt hold;
  Compute(time);
}

struct Buffers {
  Buffers() : in(8 << 20), out(16 << 20) {  // one call takes many times the bound
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<unsigned char>(i * i >> 7);
  }
  std::vector<unsigned char> in, out;
};
std::atomic<bool> g_compresses{false};

[[gnu::noinline]] void Compress(Buffers& buffers) {
  g_compresses = true;
  do {
    uLongf size = buffers.out.size();
    compress2(buffers.out.data(), &size, buffers.in.data(), buffers.in.size(), 9);
  } while (!Over());
}

[[gnu::noinline]] void BlockSignals(std::chrono::milliseconds time) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Compute(time);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// Under call_once, whose callers may hold a lock.
[[gnu::noinline]] void CallBack(std::chrono::milliseconds time) {
  pthread_once_t once = PTHREAD_ONCE_INIT;
  static std::chrono::milliseconds how_long;
  how_long = time;
  pthread_once(&once, [] { Compute(how_long); });
}

int main(int argc, char** argv) {
  const std::string_view kind = argc > 1 ? argv[1] : "";
  const int times = argc > 2 ? std::atoi(argv[2]) : 1;
  const auto buffers = kind == "zlib" ? std::make_unique<Buffers>() : nullptr;
  urge::run({.procs = 1, .slice = 1ms}, [&] {
    urge::wait_group hogs;
    hogs.add(1);
    urge::go({.name = "hog", .labels = {{"kind", std::string(kind)}}}, [&] {
      for (int i = 0; i < times; ++i) {
        if (kind == "no_preempt") HoldOff(60ms);
        if (kind == "zlib") Compress(*buffers);
        if (kind == "mask") BlockSignals(60ms);
        if (kind == "callback") CallBack(60ms);
        if (kind == "loop") Compute(60ms);
        urge::sleep_for(1ms);  // the next one is another stall
      }
      g_stop.store(true);
      hogs.done();
    });
    // Who wants to be woken is why the hog is asked to stop.
    while (kind == "zlib" && !g_compresses) urge::sleep_for(1ms);
    for (int i = 0; kind == "zlib" ? i < 30 : !Over(); ++i) urge::sleep_for(1ms);
    g_stop.store(true);
    hogs.wait();
  });
}

// Walks of goroutines' stacks: where they end, what they pass, and what is left out.
// Without injected preemptions, as under TSan, there is less to show.
// skip: tsan

#include "runtime/traceback/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <urge/urge.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "asm/switch.h"
#include "runtime/preempt/stop_the_world.h"
#include "runtime/sched/park.h"
#include "runtime/sched/sched.h"
#include "runtime/traceback/symbol.h"
#include "runtime/traceback/traceback.h"

namespace urge::traceback {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

sched::G* FindByName(const std::string& name) {
  for (sched::G* gp = sched::FirstGoroutine(); gp != nullptr; gp = gp->all_next) {
    if (gp->status.load() != sched::GStatus::kDead && name == gp->name) return gp;
  }
  return nullptr;
}

// Waits until the goroutine of that name waits; it is then its own only when woken.
sched::G* FindWaiting(const std::string& name) {
  for (;;) {
    sched::G* gp = FindByName(name);
    if (gp != nullptr && gp->status.load() == sched::GStatus::kWaiting) return gp;
    std::this_thread::yield();
  }
}

std::string Printed(const std::function<void(base::RawWriter&)>& print) {
  const int fd = memfd_create("printed", MFD_CLOEXEC);
  {
    base::RawWriter out(fd);
    print(out);
  }
  std::string text(static_cast<std::size_t>(lseek(fd, 0, SEEK_END)), 0);
  EXPECT_EQ(pread(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  close(fd);
  return text;
}

std::string Frames(const Context& context, preempt::StackRange stack, preempt::WalkEnd* end,
                   Detail detail = Detail::kUser) {
  return Printed([&](base::RawWriter& out) { *end = PrintFrames(out, context, stack, detail); });
}

std::vector<std::string> Names(const sched::G* gp) {
  std::uintptr_t pcs[kMaxFrames];
  const int n = CollectFrames(ContextOfParked(gp), RangeOf(gp), pcs);
  std::vector<std::string> names;
  char buffer[kSymbolNameBytes];
  for (int i = 0; i < n; ++i) names.emplace_back(FunctionName(pcs[i], buffer));
  return names;
}

[[gnu::noinline]] int Descend(chan<int> c, int depth) {
  if (depth == 0) {
    (void)c.recv();
    return 0;
  }
  const int result = Descend(c, depth - 1) + 1;
  asm volatile("");  // a frame for each
  return result;
}

TEST(ParkedGoroutine, WalkEndsAtTheBottomFrame) {
  chan<int> c(0);
  go({.name = "walked"}, [c] { Descend(c, 3); });
  sched::G* gp = FindWaiting("walked");
  preempt::WalkEnd end;
  const std::string text = Frames(ContextOfParked(gp), RangeOf(gp), &end, Detail::kSystem);
  EXPECT_EQ(end, preempt::WalkEnd::kEndOfStack) << text;
  const std::vector<std::string> names = Names(gp);
  ASSERT_GE(names.size(), 6u) << text;
  EXPECT_EQ(names.back(), "urge_goexit");
  EXPECT_EQ(
      std::count(names.begin(), names.end(), "urge::traceback::(anonymous namespace)::Descend()"),
      4)
      << text;
  c.send(1);
}

TEST(ParkedGoroutine, DeepStackShowsBothEnds) {
  chan<int> c(0);
  go({.name = "deep"}, [c] { Descend(c, 1000); });
  sched::G* gp = FindWaiting("deep");
  preempt::WalkEnd end;
  const std::string text = Frames(ContextOfParked(gp), RangeOf(gp), &end, Detail::kSystem);
  EXPECT_EQ(end, preempt::WalkEnd::kEndOfStack);
  EXPECT_THAT(text, ContainsRegex("\n\\.\\.\\.9[0-9][0-9] frames elided\\.\\.\\.\n"));
  EXPECT_THAT(text, HasSubstr("urge::sched::Park"));
  EXPECT_THAT(text, HasSubstr("\nurge_goexit\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2 * kMaxFrames + 1);
  c.send(1);
}

TEST(ParkedGoroutine, CorruptContextEndsTheWalkWithoutAFault) {
  chan<int> c(0);
  go({.name = "spoilt"}, [c] { Descend(c, 3); });
  sched::G* gp = FindWaiting("spoilt");
  const Context good = ContextOfParked(gp);
  preempt::WalkEnd end;
  for (const std::uint64_t rsp :
       {std::uint64_t{0}, std::uint64_t{0x1234567}, ~std::uint64_t{0},
        std::uint64_t{gp->stack.lo - 4096}, std::uint64_t{gp->stack.hi}}) {
    Context bad = good;
    bad.registers.rsp = bad.registers.rbp = rsp;
    EXPECT_THAT(Frames(bad, RangeOf(gp), &end), HasSubstr("not on the goroutine's stack"));
    EXPECT_EQ(end, preempt::WalkEnd::kBadStack);
  }
  Context bad = good;
  bad.registers.rip = 0x10;
  EXPECT_THAT(Frames(bad, RangeOf(gp), &end), HasSubstr("no unwind data"));
  c.send(1);
}

std::atomic<bool> g_stop{false};

[[gnu::noinline]] void SpinUntilStopped() {
  while (!g_stop.load(std::memory_order_relaxed)) {
  }
}

TEST(PreemptedGoroutine, WalkPassesTheInjectedCall) {
  g_stop.store(false);
  go({.name = "spinning"}, SpinUntilStopped);
  bool seen = false;
  for (int i = 0; i < 50 && !seen; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    preempt::StopTheWorld();
    sched::G* gp = FindByName("spinning");
    if (gp != nullptr && (gp->needs_g0 & sched::kNeedsDating) != 0 &&
        gp->status.load() != sched::GStatus::kRunning) {
      const std::vector<std::string> names = Names(gp);
      seen = true;
      EXPECT_EQ(names.back(), "urge_goexit");
      EXPECT_EQ(std::count(names.begin(), names.end(), "urge_async_preempt"), 1);
      EXPECT_EQ(std::count(names.begin(), names.end(),
                           "urge::traceback::(anonymous namespace)::SpinUntilStopped()"),
                1);
    }
    preempt::StartTheWorld();
  }
  g_stop.store(true);
  EXPECT_TRUE(seen);
}

TEST(Symbol, RuntimeIsLeftOutAndThePublicApiIsNot) {
  const auto park = reinterpret_cast<std::uintptr_t>(&sched::Ready);
  EXPECT_TRUE(IsInternal(park, "urge::sched::Ready()"));
  EXPECT_TRUE(IsInternal(park, "urge_switch"));
  EXPECT_TRUE(IsInternal(park, "std::sort<>()"));
  EXPECT_TRUE(IsInternal(park, ""));
  EXPECT_FALSE(IsInternal(park, "urge::sleep_for()"));
  const auto user = reinterpret_cast<std::uintptr_t>(&SpinUntilStopped);
  EXPECT_FALSE(IsInternal(user, "urge::sched::Ready()"));
  EXPECT_FALSE(IsInternal(user, ""));
  EXPECT_TRUE(IsInternal(user, "__morestack"));
}

TEST(Symbol, PlaceIsWhatAddr2lineTakes) {
  const CodePlace place = PlaceOf(reinterpret_cast<std::uintptr_t>(&SpinUntilStopped));
  EXPECT_TRUE(place.module.ends_with("/frames_test")) << place.module;
  EXPECT_LT(place.offset, 1u << 24);
  EXPECT_TRUE(PlaceOf(0x10).module.empty());
}

TEST(Header, DatesAWaitFromItsFirstLook) {
  chan<int> c(0);
  go({.name = "patient"}, [c] { (void)c.recv(); });
  sched::G* gp = FindWaiting("patient");
  const auto print = [gp] {
    const int fd = memfd_create("header", MFD_CLOEXEC);
    PrintGoroutine(fd, gp);
    char text[256] = {};
    EXPECT_GT(pread(fd, text, sizeof(text) - 1, 0), 0);
    close(fd);
    return std::string(text);
  };
  EXPECT_THAT(print(), HasSubstr(" [chan receive] \"patient\":\n"));
  gp->wait_since_ns.store(base::NowNs() - 150'000'000'000u);
  EXPECT_THAT(print(), HasSubstr(" [chan receive, 2 minutes] \"patient\":\n"));
  c.send(1);
}

}  // namespace
}  // namespace urge::traceback

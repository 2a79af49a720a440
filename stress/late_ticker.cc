// The patient of README's walk-through: a ticker that is late, and why.
//
// One processor. A goroutine wants to be woken every millisecond; another compresses a file, and
// its author thought that nobody should come in between. With --mended anybody may.
//
// link: -lz

#include <urge/urge.h>
#include <zlib.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "stress/common/args.h"
#include "stress/common/clock.h"
#include "stress/common/input.h"
#include "stress/common/stats.h"

namespace {

using namespace std::chrono_literals;

void Compress(std::string_view bytes, std::vector<Bytef>& packed) {
  uLongf size = packed.size();
  compress2(packed.data(), &size, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), 9);
}

// 256 KiB at a time, again and again: each takes some 15 ms.
[[gnu::noinline]] void Archive(const std::string& bytes, bool mended,
                               const std::atomic<bool>& stop) {
  constexpr std::size_t kChunk = std::size_t{1} << 18;
  std::vector<Bytef> packed(compressBound(kChunk));
  for (std::size_t at = 0; !stop; at = (at + kChunk) % bytes.size()) {
    const std::string_view chunk = std::string_view(bytes).substr(at, kChunk);
    if (mended) {
      Compress(chunk, packed);
    } else {
      const urge::no_preempt alone;
      Compress(chunk, packed);
    }
  }
}

// How late it was woken, each time.
void Tick(stress::Samples& lateness, const std::atomic<bool>& stop) {
  while (!stop) {
    const std::uint64_t due = stress::ReadTicks() + stress::TicksOfNs(1e6);
    urge::sleep_for(1ms);
    const std::uint64_t now = stress::ReadTicks();
    lateness.Add(now > due ? now - due : 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::chrono::nanoseconds duration = 3s;
  bool mended = false, metrics = false;
  stress::Args args("late_ticker", "A ticker beside a goroutine that compresses a file.");
  args.Option("duration", "TIME", "how long (3s)",
              [&](std::string_view text) { duration = stress::ParseDuration(text, 100ms, 1h); });
  args.Flag("mended", "without what makes the ticker late", [&] { mended = true; });
  args.Flag("metrics", "print what the runtime counted, too", [&] { metrics = true; });
  args.ParseOrExit(argc, argv);

  const stress::Input input = stress::ReadInput("");
  std::atomic<bool> stop{false};
  stress::Samples lateness;
  urge::run({.procs = 1}, [&] {
    urge::wait_group all;
    all.add(2);
    urge::go({.name = "archiver"}, [&] {
      Archive(input.bytes, mended, stop);
      all.done();
    });
    urge::go({.name = "ticker"}, [&] {
      Tick(lateness, stop);
      all.done();
    });
    urge::sleep_for(duration);
    stop = true;
    all.wait();
  });
  const stress::Summary late = lateness.Summarize(1 / stress::TicksPerNs() / 1e6);
  std::printf("%ju ticks, late by: p50 %.2f  p99 %.2f  max %.2f ms\n", std::uintmax_t{late.count},
              late.p50, late.p99, late.max);
  if (metrics) urge::write_metrics(std::cout);
}

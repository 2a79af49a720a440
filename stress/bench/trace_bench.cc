// What recording events costs: an event by itself, and what is slower while a recorder is on.

#include <urge/urge.h>

#include <memory>

#include "runtime/trace/event_ring.h"
#include "stress/common/clock.h"
#include "stress/common/figure.h"

namespace {

using stress::Figures;
using stress::NsOfTicks;
using stress::ReadTicks;
using urge::trace::EventKind;
using urge::trace::EventRing;

constexpr int kOperations = 1'000'000;

template <class Work>
double Measure(Work work) {
  return stress::MedianOfRounds([&] {
    const std::uint64_t begin = ReadTicks();
    work();
    return NsOfTicks(ReadTicks() - begin) / kOperations;
  });
}

void Event(Figures& f) {
  // As large as a processor's ring is by default.
  const auto ring = std::make_unique<EventRing>();
  if (!ring->Allocate(urge::base::kTraceRingEvents)) return;
  f.Add("an event in its owner's ring", Measure([&] {
          for (int i = 0; i < kOperations; ++i) {
            ring->Write(EventKind::kGoStart, 0, 1, static_cast<std::uint64_t>(i), 2);
          }
        }),
        "ns");
  f.Add("an event in the shared ring", Measure([&] {
          for (int i = 0; i < kOperations; ++i) {
            ring->WriteShared(EventKind::kGoStart, 0, 1, static_cast<std::uint64_t>(i), 2);
          }
        }),
        "ns");
}

double YieldNs() {
  return urge::run([] {
    return Measure([] {
      urge::wait_group both;
      for (int i = 0; i < 2; ++i) {
        both.go([] {
          for (int n = 0; n < kOperations / 2; ++n) urge::yield();
        });
      }
      both.wait();
    });
  });
}

// A yield is two events: one goroutine stops, another starts.
void Yield(Figures& f) {
  urge::options options;
  options.procs = 1;
  urge::start(options);
  const double off = YieldNs();
  urge::flight_recorder_start();
  const double on = YieldNs();
  urge::flight_recorder_stop();
  const double off_again = YieldNs();
  f.Add("yield, never recorded", off, "ns");
  f.Add("yield, recorded", on, "ns");
  f.Add("yield, recorded no more", off_again, "ns");
  f.Add("each of its two events", (on - off) / 2, "ns");
}

constexpr stress::BenchCase kCases[] = {
    {"event", "writing one event, again and again", Event},
    {"yield", "two goroutines that yield to each other, with the flight recorder off and on",
     Yield},
};

}  // namespace

int main(int argc, char** argv) {
  return stress::RunCases(argc, argv, "What recording events costs.", kCases);
}

// What switching, spawning and communicating cost. stress/bench/peers has the same for others.

#include <urge/urge.h>

#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>

#include "stress/common/clock.h"
#include "stress/common/figure.h"

namespace {

using stress::Figures;
using stress::NsOfTicks;
using stress::ReadTicks;

constexpr int kOperations = 1'000'000;
constexpr int kBatch = 1'000;

// Time of one of the `operations` that `work` does, measured in a goroutine.
template <class Work>
double MeasureOn(int procs, int operations, Work work) {
  urge::options options;
  options.procs = procs;
  return urge::run(options, [&] {
    return stress::MedianOfRounds([&] {
      const std::uint64_t begin = ReadTicks();
      work();
      return NsOfTicks(ReadTicks() - begin) / operations;
    });
  });
}

void TwoYielders() {
  urge::wait_group both;
  for (int i = 0; i < 2; ++i) {
    both.go([] {
      for (int n = 0; n < kOperations / 2; ++n) urge::yield();
    });
  }
  both.wait();
}

void SpawnBatches() {
  for (int batch = 0; batch < kOperations / kBatch; ++batch) {
    urge::wait_group all;
    for (int i = 0; i < kBatch; ++i) all.go([] {});
    all.wait();
  }
}

constexpr int kRoundTrips = kOperations / 4;
void RoundTrips() {
  urge::chan<int> there, back;
  urge::go([=] {
    while (const auto n = there.recv()) back.send(*n);
  });
  for (int n = 0; n < kRoundTrips; ++n) {
    there.send(n);
    static_cast<void>(back.recv());
  }
  there.close();
}

void BufferedTransfer() {
  urge::chan<int> pipe(128);
  urge::go([=] {
    for (int n = 0; n < kOperations; ++n) pipe.send(n);
    pipe.close();
  });
  while (pipe.recv()) {
  }
}

void ContendedMutex() {
  constexpr int kGoroutines = 4;
  urge::mutex mutex;
  urge::wait_group all;
  long counter = 0;
  for (int g = 0; g < kGoroutines; ++g) {
    all.go([&] {
      for (int n = 0; n < kOperations / kGoroutines; ++n) {
        std::lock_guard lock(mutex);
        ++counter;
        asm volatile("" : "+m"(counter));
      }
    });
  }
  all.wait();
}

// What libc's functions cost where urge stands in for them.
void LockPthreadMutex() {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  for (int n = 0; n < kOperations; ++n) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
}

constexpr int kBytes = kOperations / 10;
void PassBytes() {
  int ends[2];
  if (pipe(ends) != 0) return;
  char c = 0;
  for (int n = 0; n < kBytes; ++n) {
    if (write(ends[1], &c, 1) != 1 || read(ends[0], &c, 1) != 1) std::abort();
  }
  close(ends[0]);
  close(ends[1]);
}

template <class Work>
double MeasureOnThread(int operations, Work work) {
  return stress::MedianOfRounds([&] {
    const std::uint64_t begin = ReadTicks();
    work();
    return NsOfTicks(ReadTicks() - begin) / operations;
  });
}

void PthreadMutex(Figures& f) {
  f.Add("pthread_mutex lock + unlock, thread", MeasureOnThread(kOperations, LockPthreadMutex),
        "ns");
  f.Add("pthread_mutex lock + unlock, goroutine", MeasureOn(1, kOperations, LockPthreadMutex),
        "ns");
}
void PipeByte(Figures& f) {
  f.Add("write + read of a byte, thread", MeasureOnThread(kBytes, PassBytes), "ns");
  f.Add("write + read of a byte, goroutine", MeasureOn(1, kBytes, PassBytes), "ns");
}

void Yield(Figures& f) { f.Add("yield, 1 proc", MeasureOn(1, kOperations, TwoYielders), "ns"); }
void Yield2(Figures& f) { f.Add("yield, 2 procs", MeasureOn(2, kOperations, TwoYielders), "ns"); }
void Spawn(Figures& f) {
  f.Add("spawn + join, batches of 1000, 1 proc", MeasureOn(1, kOperations, SpawnBatches), "ns");
}
void Spawn2(Figures& f) {
  f.Add("spawn + join, batches of 1000, 2 procs", MeasureOn(2, kOperations, SpawnBatches), "ns");
}
void Channel(Figures& f) {
  f.Add("unbuffered round trip, 1 proc", MeasureOn(1, kRoundTrips, RoundTrips), "ns");
}
void Channel2(Figures& f) {
  f.Add("unbuffered round trip, 2 procs", MeasureOn(2, kRoundTrips, RoundTrips), "ns");
}
void Buffered(Figures& f) {
  f.Add("buffered element, 1 proc", MeasureOn(1, kOperations, BufferedTransfer), "ns");
}
void Buffered2(Figures& f) {
  f.Add("buffered element, 2 procs", MeasureOn(2, kOperations, BufferedTransfer), "ns");
}
void Mutex(Figures& f) {
  f.Add("contended mutex, 1 proc", MeasureOn(1, kOperations, ContendedMutex), "ns");
}
void Mutex2(Figures& f) {
  f.Add("contended mutex, 2 procs", MeasureOn(2, kOperations, ContendedMutex), "ns");
}

constexpr stress::BenchCase kCases[] = {
    {"yield", "two goroutines that yield to each other, 1 proc", Yield},
    {"yield-2", "the same with 2 procs", Yield2},
    {"spawn", "spawn 1000 empty goroutines and wait for them, 1 proc", Spawn},
    {"spawn-2", "the same with 2 procs", Spawn2},
    {"channel", "a round trip over two unbuffered channels, 1 proc", Channel},
    {"channel-2", "the same with 2 procs", Channel2},
    {"buffered", "an element through a channel of 128, 1 proc", Buffered},
    {"buffered-2", "the same with 2 procs", Buffered2},
    {"mutex", "4 goroutines lock and unlock one mutex, 1 proc", Mutex},
    {"mutex-2", "the same with 2 procs", Mutex2},
    {"pthread-mutex", "an uncontended pthread mutex, on a thread and on a goroutine", PthreadMutex},
    {"pipe-byte", "a byte through a pipe, on a thread and on a goroutine", PipeByte},
};

}  // namespace

int main(int argc, char** argv) {
  return stress::RunCases(argc, argv, "What switching and communicating cost in urge.", kCases);
}

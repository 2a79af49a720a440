#include "runtime/sched/timer.h"

#include <sys/mman.h>

#include <algorithm>

#include "runtime/sched/current.h"
#include "runtime/sched/record.h"
#include "runtime/sched/sched.h"

namespace urge::sched {

// The callback of a timer that has been taken out of its heap can run concurrently with StopTimer,
// which then finds heap == null and returns false.

void TimerHeap::Grow() {
  // Straight from the system: no allocator runs under a runtime lock.
  const std::uint32_t capacity = capacity_ == 0 ? 512 : capacity_ * 2;
  void* p = capacity_ == 0 ? mmap(nullptr, capacity * sizeof(Timer*), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                           : mremap(heap_, capacity_ * sizeof(Timer*), capacity * sizeof(Timer*),
                                    MREMAP_MAYMOVE);
  if (p == MAP_FAILED) base::Fatal("out of memory for timers");
  heap_ = static_cast<Timer**>(p);
  capacity_ = capacity;
}

void TimerHeap::PublishEarliest() {
  const std::uint64_t earliest = size_ == 0 ? base::kNever : heap_[0]->when_ns;
  if (earliest != earliest_ns_.load(std::memory_order_relaxed)) {
    // seq_cst: this store, then the load of keeper_until_ns or sysmon_until_ns in
    // NoteEarlierTimer; pairs with their store of "until", then load of this.
    earliest_ns_.store(earliest, std::memory_order_seq_cst);
  }
}

void TimerHeap::SiftUp(std::uint32_t i) {
  Timer* timer = heap_[i];
  while (i > 0) {
    const std::uint32_t parent = (i - 1) / 4;
    if (heap_[parent]->when_ns <= timer->when_ns) break;
    Place(i, heap_[parent]);
    i = parent;
  }
  Place(i, timer);
}

void TimerHeap::SiftDown(std::uint32_t i) {
  Timer* timer = heap_[i];
  for (;;) {
    std::uint32_t least = i * 4 + 1;
    if (least >= size_) break;
    const std::uint32_t end = std::min(least + 4, size_);
    for (std::uint32_t child = least + 1; child < end; ++child) {
      if (heap_[child]->when_ns < heap_[least]->when_ns) least = child;
    }
    if (heap_[least]->when_ns >= timer->when_ns) break;
    Place(i, heap_[least]);
    i = least;
  }
  Place(i, timer);
}

bool TimerHeap::AddLocked(Timer* timer) {
  if (size_ == capacity_) Grow();
  // release: StopTimer may find the heap through this without a lock.
  timer->heap.store(this, std::memory_order_release);
  heap_[size_] = timer;
  SiftUp(size_++);
  PublishEarliest();
  return heap_[0] == timer;
}

void TimerHeap::RemoveAtLocked(std::uint32_t i) {
  Timer* gone = heap_[i];
  Timer* last = heap_[--size_];
  if (gone != last) {
    Place(i, last);
    SiftUp(i);
    SiftDown(last->index);
  }
  gone->heap.store(nullptr, std::memory_order_release);
  PublishEarliest();
}

bool TimerHeap::Add(Timer* timer) {
  base::RuntimeLock lock(lock_);
  return AddLocked(timer);
}

bool TimerHeap::Remove(Timer* timer) {
  base::RuntimeLock lock(lock_);
  if (timer->heap.load(std::memory_order_relaxed) != this) return false;
  RemoveAtLocked(timer->index);
  return true;
}

int TimerHeap::RunExpired(std::uint64_t now, int limit) {
  int ran = 0;
  while (ran < limit) {
    Timer* timer;
    std::uint64_t late_ns;
    {
      base::RuntimeLock lock(lock_);
      if (size_ == 0 || heap_[0]->when_ns > now) return ran;
      timer = heap_[0];
      late_ns = now - timer->when_ns;
      if (timer->period_ns == 0) {
        RemoveAtLocked(0);
      } else {
        timer->when_ns += timer->period_ns * (1 + late_ns / timer->period_ns);
        SiftDown(0);
        PublishEarliest();
      }
    }
    Record(EventKind::kTimerFire, 0, late_ns);
    M* m = CurrentM();
    if (m != nullptr && m->p != nullptr) {
      m->p->stats.Add(trace::Counter::kTimersFired);
      m->p->stats.Record(trace::Latency::kTimerLateness, late_ns);
    } else {
      trace::AddShared(trace::Counter::kTimersFired);
      trace::RecordShared(trace::Latency::kTimerLateness, late_ns);
    }
    // The timer may be gone as soon as its callback has readied its owner.
    timer->callback(timer, now);
    ++ran;
  }
  return ran;
}

void TimerHeap::MoveAllTo(TimerHeap& target) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  // The world is stopped, but plain threads may be in StartTimer or StopTimer: a timer is in one
  // heap or the other, or in neither under this lock for a moment that StopTimer waits out.
  for (;;) {
    Timer* timer;
    {
      base::RuntimeLock lock(lock_);
      if (size_ == 0) return;
      timer = heap_[size_ - 1];
      timer->moving.store(true, std::memory_order_relaxed);
      RemoveAtLocked(size_ - 1);
    }
    target.Add(timer);
    timer->moving.store(false, std::memory_order_release);
  }
}

void StartTimer(Timer* timer) {
  M* m = CurrentM();
  // A spare P may go at any time, and has no timers.
  P* p = m != nullptr && m->p != nullptr && !m->p->spare ? m->p : g_sched.all_ps[0];
  const std::uint64_t when = timer->when_ns;
  // After Add the timer may fire and be gone at once.
  if (p->timers.Add(timer)) NoteEarlierTimer(when);
}

bool StopTimer(Timer* timer) {
  for (;;) {
    TimerHeap* heap = timer->heap.load(std::memory_order_acquire);
    if (heap == nullptr) {
      if (!timer->moving.load(std::memory_order_acquire)) return false;
      base::CpuRelax();
      continue;
    }
    if (heap->Remove(timer)) return true;
  }
}

}  // namespace urge::sched

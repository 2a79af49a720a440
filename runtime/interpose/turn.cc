#include "runtime/interpose/turn.h"

#include <string_view>

#include "runtime/base/lists.h"
#include "runtime/base/lock.h"
#include "runtime/preempt/foreign_frames.h"
#include "runtime/preempt/thread_bound.h"
#include "runtime/traceback/frames.h"
#include "runtime/traceback/symbol.h"

namespace urge::interpose {

// The queues of all addresses that fall into one bucket, in order of arrival.
// Invariant: of the turns with one key the earliest has first_ set, and no other.
struct TurnQueue {
  base::RuntimeMutex lock{base::LockRank::kWaitQueue};
  base::Queue<Turn, &Turn::later_> turns ABSL_GUARDED_BY(lock);

  Turn* Find(const void* key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock) {
    Turn* turn = turns.head();
    while (turn != nullptr && turn->key_ != key) turn = turn->later_;
    return turn;
  }
};

namespace {

// Is that code of the C or C++ library, which keeps nothing of its thread but where its machine
// code shows it? Other libraries that urge wasn't told of may have put it away: Abseil's mutexes
// keep the thread's identity in memory, and expect it to be the same after a wait.
bool IsStandardLibrary(std::uintptr_t pc) {
  const std::string_view path = traceback::PlaceOf(pc).module;
  const std::string_view name = path.substr(path.rfind('/') + 1);
  for (const std::string_view library : {"libstdc++.so", "libc++.so", "libc.so", "libgcc_s.so"}) {
    if (name.starts_with(library)) return true;
  }
  return false;
}

constinit TurnQueue g_queues[kBuckets];
constinit std::atomic<int> g_blocked{0};

TurnQueue& QueueOf(const void* key) { return g_queues[BucketOf(key)]; }

}  // namespace

bool Turn::Await(std::uint64_t deadline_ns, sched::WaitReason reason) {
  TurnQueue& queue = QueueOf(key_);
  queue.lock.Lock();
  first_ = queue.Find(key_) == nullptr;
  queue.turns.PushBack(this);
  if (first_) {
    queue.lock.Unlock();
    return true;
  }
  return WaitUntil(
      queue.lock, reason, deadline_ns,
      [](void* arg) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        // Under the lock. Who has become the first stays so: Leave() is its duty now.
        Turn* turn = static_cast<Turn*>(arg);
        return !turn->first_ && QueueOf(turn->key_).turns.Remove(turn);
      },
      this);
}

void Turn::Leave() {
  TurnQueue& queue = QueueOf(key_);
  Turn* next;
  {
    base::RuntimeLock lock(queue.lock);
    queue.turns.Remove(this);
    next = queue.Find(key_);
    if (next != nullptr) next->first_ = true;
  }
  // It can't be gone: once it is the first, only this ends its wait.
  if (next != nullptr) next->Wake();
}

bool TryBlockThread() {
  // relaxed: a count, publishes nothing.
  if (g_blocked.fetch_add(1, std::memory_order_relaxed) < kMaxBlocked) return true;
  UnblockThread();
  return false;
}

bool CallerMayMove() {
  const sched::G* gp = sched::CurrentG();
  // Wired for longer than this wait: it comes back to its thread in any case.
  if ((gp->wired_reasons & ~std::uint32_t{sched::kWiredByFrame}) != 0) return true;
  const auto is_free = [](const preempt::Frame& frame) {
    const preempt::TextKind kind = preempt::PreemptionMap::Classify(frame.lookup_pc());
    if (kind == preempt::TextKind::kRuntime) return true;
    const bool is_known = kind != preempt::TextKind::kOpaque && kind != preempt::TextKind::kUnknown;
    if (!is_known && !IsStandardLibrary(frame.lookup_pc())) return false;
    return frame.has_cfi && !preempt::IsThreadBound(frame.function);
  };
  return preempt::WalkFrames(traceback::CaptureContext().registers, gp->stack.lo, gp->stack.hi,
                             preempt::kForeignFramesMax, is_free) == preempt::WalkEnd::kEndOfStack;
}

void UnblockThread() { g_blocked.fetch_sub(1, std::memory_order_relaxed); }

std::uint64_t DeadlineNs(clockid_t clock, const timespec* when) {
  if (when == nullptr) return base::kNever;
  const auto ns = [](const timespec& t) {
    return static_cast<__int128>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
  };
  timespec now;
  clock_gettime(clock, &now);
  const __int128 left = ns(*when) - ns(now);
  if (left <= 0) return 1;
  const __int128 deadline = left + base::NowNs();
  return deadline < base::kNever ? static_cast<std::uint64_t>(deadline) : base::kNever;
}

}  // namespace urge::interpose

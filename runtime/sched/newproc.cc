// Making and recycling goroutines: newproc, gfget, gfput, malg, allgs.
//
//  1. spawn_prepare takes a dead goroutine from the P's free list, which refills from and spills
//     to the global lists (one of goroutines with stacks, one without), or makes a new one.
//  2. The caller constructs its closure at the top of the stack.
//  3. spawn_commit builds the first frame below it, fills in identity, and queues the goroutine
//     as its P's next.
//
// A goroutine between 1 and 3 is in state kDead and on no list: it belongs to the spawner.
// Source: Go's newproc1, gfget, gfput, malg, allgadd.

#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "runtime/sched/start.h"
#include "runtime/sched/switch.h"

namespace urge::sched {
namespace {

using FreeList = base::Stack<G, &G::link>;

struct GlobalFree {
  base::RuntimeMutex lock{base::LockRank::kFreeList};
  FreeList warm ABSL_GUARDED_BY(lock);     // with stacks, as their goroutines left them
  FreeList trimmed ABSL_GUARDED_BY(lock);  // with stacks whose deep pages were given back
  FreeList without_stack ABSL_GUARDED_BY(lock);

  G* Pop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock) {
    for (FreeList* list : {&warm, &trimmed, &without_stack}) {
      if (G* gp = list->Pop()) return gp;
    }
    return nullptr;
  }
};
constinit GlobalFree g_free;

// Push-only, so that dumps can walk it without a lock.
constinit std::atomic<G*> g_all_gs{nullptr};

void Remember(G* gp) {
  G* head = g_all_gs.load(std::memory_order_relaxed);
  do {
    gp->all_next = head;
    // release: publishes the constructed G to FirstGoroutine's acquire.
  } while (!g_all_gs.compare_exchange_weak(head, gp, std::memory_order_release,
                                           std::memory_order_relaxed));
}

void SetStack(G* gp, StackSpan stack) {
  gp->stack = stack;
  const std::size_t reserve = std::min(base::kStackReserveBytes, stack.size() / 4);
  gp->true_guard = stack.lo + reserve;
  gp->guard.store(GuardAtRest(gp), std::memory_order_relaxed);
  gp->standard_stack = stack.size() == StandardStackBytes();
  // Tops are staggered so that the hot lines of many stacks fall into different cache sets.
  const std::size_t colour = (stack.lo / (stack.size() + base::kPageBytes)) % base::kStackColours;
  gp->stack_top = stack.hi - colour * base::kStackColourBytes;
}

// Moves dead goroutines from the global lists until the P has kFreeGoroutinesKeep, those with
// stacks first.
void RefillFree(P* p) {
  base::RuntimeLock lock(g_free.lock);
  while (p->free.size() < base::kFreeGoroutinesKeep) {
    G* gp = g_free.Pop();
    if (gp == nullptr) return;
    p->free.Push(gp);
  }
}

void PutGlobalFree(G* gp) {
  base::RuntimeLock lock(g_free.lock);
  (gp->stack.empty() ? g_free.without_stack : g_free.warm).Push(gp);
}

void SpillFree(P* p) {
  base::RuntimeLock lock(g_free.lock);
  while (p->free.size() > base::kFreeGoroutinesKeep) {
    G* gp = p->free.Pop();
    (gp->stack.empty() ? g_free.without_stack : g_free.warm).Push(gp);
  }
}

// A dead goroutine with a stack of `bytes`, or null when there is no memory.  Go: gfget, malg
G* TakeFree(P* p, std::size_t bytes) {
  G* gp = nullptr;
  if (URGE_UNLIKELY(bytes != StandardStackBytes())) {
    // An odd stack is made for the occasion; standard ones stay with those who fit them.
    base::RuntimeLock lock(g_free.lock);
    gp = g_free.without_stack.Pop();
  } else if (p != nullptr) {
    if (p->free.empty()) RefillFree(p);
    gp = p->free.Pop();
  } else {
    base::RuntimeLock lock(g_free.lock);
    gp = g_free.Pop();
  }
  if (gp == nullptr) {
    gp = new (std::nothrow) G;
    if (gp == nullptr) return nullptr;
    Transition(gp, GStatus::kIdle, GStatus::kDead);
    Remember(gp);
  }
  if (gp->stack.empty()) {
    const StackSpan stack = AllocateStack(bytes);
    if (stack.empty()) {
      PutGlobalFree(gp);
      return nullptr;
    }
    SetStack(gp, stack);
  }
  return gp;
}

std::uint64_t NextGoid(P* p) {
  if (p == nullptr) return g_sched.goid_source.fetch_add(1, std::memory_order_relaxed);
  if (p->goid_next == p->goid_end) {
    p->goid_next = g_sched.goid_source.fetch_add(base::kGoidBatch, std::memory_order_relaxed);
    p->goid_end = p->goid_next + base::kGoidBatch;
  }
  return p->goid_next++;
}

LabelRef MergeLabels(const LabelRef& inherited, const label_list& added) {
  label_list merged = inherited ? *inherited : label_list();
  for (const auto& [key, value] : added) {
    auto it = merged.begin();
    while (it != merged.end() && it->first != key) ++it;
    if (it == merged.end()) {
      merged.emplace_back(key, value);
    } else {
      it->second = value;
    }
  }
  return LabelRef::Make(std::move(merged));
}

std::size_t CheckedStackBytes(const go_options* options) {
  if (options == nullptr || options->stack_size == 0) return StandardStackBytes();
  const std::size_t bytes = options->stack_size;
  if (bytes < base::kMinStackBytes || bytes > g_sched.settings.max_stack_bytes) {
    throw std::invalid_argument("urge::go_options::stack_size is " + std::to_string(bytes) +
                                "; allowed are " + std::to_string(base::kMinStackBytes) + " to " +
                                std::to_string(g_sched.settings.max_stack_bytes) +
                                " bytes, or 0 for the default");
  }
  return (bytes + base::kPageBytes - 1) & ~(base::kPageBytes - 1);
}

}  // namespace

void TrimFreeStacks() {
  FreeList batch;
  {
    base::RuntimeLock lock(g_free.lock);
    while (batch.size() < base::kTrimBatch) {
      G* gp = g_free.warm.Pop();
      if (gp == nullptr) break;
      batch.Push(gp);
    }
  }
  if (batch.empty()) return;
  FreeList trimmed;
  while (G* gp = batch.Pop()) {
    TrimStack(gp->stack);
    trimmed.Push(gp);
  }
  base::RuntimeLock lock(g_free.lock);
  while (G* gp = trimmed.Pop()) g_free.trimmed.Push(gp);
}

G* FirstGoroutine() { return g_all_gs.load(std::memory_order_acquire); }

std::uint64_t CountGoroutines() {
  // Exits first: a goroutine that ends in between is still counted, never the other way round.
  const std::uint64_t exits = trace::SumOf(trace::Counter::kExits);
  const std::uint64_t spawns = trace::SumOf(trace::Counter::kSpawns);
  return spawns - exits;
}

// Back to what a fresh goroutine is.
void ResetUsed(G* gp) {
  gp->marked_by_use = false;
  gp->needs_g0 = 0;
  gp->no_preempt = 0;
  gp->wired_reasons = 0;
  gp->lock_thread_depth = 0;
  gp->blocking_depth = 0;
  gp->keeps_p = 0;
  gp->locks_held = 0;
  gp->wired_m.store(nullptr, std::memory_order_relaxed);
  gp->wants_signal.store(false, std::memory_order_relaxed);
  gp->signal_streak = 0;
  gp->slice_used_ns = 0;
  gp->eh = EhGlobals();
  gp->name[0] = 0;
  gp->labels = LabelRef();
  gp->ancestors = AncestorRef();
  if (!gp->standard_stack) {
    FreeStack(gp->stack);
    gp->stack = {};
    gp->standard_stack = true;
  }
}

void FreeGoroutine(P* p, G* gp) {
  if (URGE_UNLIKELY(gp->preempt.load(std::memory_order_relaxed)) && ClearRequest(gp)) {
    // It was asked to stop and ended.
    p->stats.Add(trace::Counter::kAckVoluntary);
  }
  if (URGE_UNLIKELY(gp->marked_by_use || !gp->eh.empty())) ResetUsed(gp);
  p->free.Push(gp);
  if (URGE_UNLIKELY(p->free.size() >= base::kFreeGoroutinesSpill)) SpillFree(p);
}

}  // namespace urge::sched

namespace urge::detail {

using namespace urge::sched;

spawn_slot spawn_prepare(std::size_t bytes, std::size_t align, const go_options* options) {
  EnsureStarted();
  const std::size_t stack_bytes = CheckedStackBytes(options);
  M* m = CurrentM();
  P* p = m == nullptr ? nullptr : m->p;
  G* gp = TakeFree(p, stack_bytes);
  if (gp == nullptr) throw std::bad_alloc();
  base::AnnotateAcquire(gp);
  gp->marked_by_use = options != nullptr;
  if (URGE_UNLIKELY(options != nullptr)) {
    const std::size_t n = std::min(options->name.size(), sizeof(gp->name) - 1);
    std::memcpy(gp->name, options->name.data(), n);
    gp->name[n] = 0;
  }
  const G* parent = m == nullptr ? nullptr : m->curg.load(std::memory_order_relaxed);
  if (parent != nullptr && URGE_UNLIKELY(static_cast<bool>(parent->labels))) {
    gp->labels = parent->labels;
    gp->marked_by_use = true;
  }
  if (URGE_UNLIKELY(options != nullptr && !options->labels.empty())) {
    try {
      gp->labels = MergeLabels(gp->labels, options->labels);
    } catch (...) {
      spawn_abandon(gp);
      throw;
    }
  }
  if (URGE_UNLIKELY(g_sched.settings.ancestors > 0) && parent != nullptr) {
    gp->ancestors = RecordAncestors(parent);
    gp->marked_by_use = true;
  }
  gp->parent_goid = parent == nullptr ? 0 : parent->goid;
  gp->go_pc = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  const std::uintptr_t closure = (gp->stack_top - bytes) & ~(std::max<std::size_t>(align, 16) - 1);
  gp->sp = reinterpret_cast<void*>(closure);
  return {reinterpret_cast<void*>(closure), gp};
}

void spawn_commit(void* goroutine, void (*invoke)(void*), const void* entry) noexcept {
  G* gp = static_cast<G*>(goroutine);
  gp->start_pc = entry != nullptr ? reinterpret_cast<std::uintptr_t>(entry)
                                  : reinterpret_cast<std::uintptr_t>(invoke);
  gp->saved_errno = 0;
  void* closure = gp->sp;
  gp->sp = urge_make_context(closure, invoke, closure);
  M* m = CurrentM();
  P* p = m == nullptr ? nullptr : m->p;
  gp->goid = NextGoid(p);
  AnnounceNew(gp);
  Transition(gp, GStatus::kDead, GStatus::kRunnable);
  if (URGE_UNLIKELY(p == nullptr ? trace::Recording() : IsRecording(p))) RecordCreate(m, gp);
  if (p != nullptr) {
    p->stats.Add(trace::Counter::kSpawns);
    PutNext(p, gp);
  } else {
    trace::AddShared(trace::Counter::kSpawns);
    PutGlobal(gp);
  }
  WakePIfIdle();
  NoteQueued();
}

void spawn_abandon(void* goroutine) noexcept {
  G* gp = static_cast<G*>(goroutine);
  ResetUsed(gp);
  PutGlobalFree(gp);
}

}  // namespace urge::detail

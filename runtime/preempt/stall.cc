#include "runtime/preempt/stall.h"

#include <sys/ucontext.h>

#include <cstring>
#include <new>

#include "runtime/base/ticks.h"
#include "runtime/preempt/cfi.h"
#include "runtime/preempt/map.h"
#include "runtime/preempt/probe.h"
#include "runtime/preempt/signal.h"
#include "runtime/trace/deferrals.h"

namespace urge::preempt {

using sched::G;
using sched::M;
using sched::P;
using trace::Counter;

namespace {

// --- Sites ---

struct Site {
  std::atomic<std::uint64_t> key{0};        // 0: free
  std::atomic<std::uint64_t> minute_ns{0};  // when the minute began that `shown` is of
  std::atomic<std::uint32_t> shown{0};
  std::atomic<std::uint64_t> suppressed{0};  // and not told
};
constexpr std::size_t kSites = 256;
constinit Site g_sites[kSites];
constinit Site g_other_sites;  // all that found no room

Site& SiteOf(std::uint64_t key) {
  constexpr std::size_t kProbes = 8;
  std::size_t at = key * 0x9e3779b97f4a7c15u >> 56;
  for (std::size_t i = 0; i < kProbes; ++i, at = (at + 1) % kSites) {
    std::uint64_t held = g_sites[at].key.load(std::memory_order_relaxed);
    if (held == 0 &&
        g_sites[at].key.compare_exchange_strong(held, key, std::memory_order_relaxed)) {
      held = key;
    }
    if (held == key) return g_sites[at];
  }
  return g_other_sites;
}

// May the site be shown once more in this minute?
bool Admit(Site& site, std::uint64_t now) {
  constexpr std::uint64_t kMinuteNs = 60'000'000'000;
  std::uint64_t began = site.minute_ns.load(std::memory_order_relaxed);
  if ((began == 0 || now - began >= kMinuteNs) &&
      site.minute_ns.compare_exchange_strong(began, now, std::memory_order_relaxed)) {
    site.shown.store(0, std::memory_order_relaxed);
  }
  return site.shown.fetch_add(1, std::memory_order_relaxed) < base::kStallsPerMinute;
}

// --- Reports on their way to whoever prints them ---

enum class SlotState : std::uint32_t { kFree, kFilling, kReady, kTaken };
struct ReportSlot {
  constexpr ReportSlot() : unused{} {}
  ~ReportSlot() {}  // NOLINT: what is in it is taken, or forgotten with the process

  std::atomic<SlotState> state{SlotState::kFree};
  union {
    char unused;
    StallReport report;  // kFilling, kReady and kTaken
  };
};
constexpr std::size_t kSlots = 16;
constinit ReportSlot g_slots[kSlots];
constinit std::atomic<void (*)()> g_hook{nullptr};

ReportSlot* ClaimSlot() {
  for (ReportSlot& slot : g_slots) {
    SlotState free = SlotState::kFree;
    // acquire: pairs with TakeStallReport's release; what was in it is gone.
    if (slot.state.compare_exchange_strong(free, SlotState::kFilling, std::memory_order_acquire)) {
      new (&slot.report) StallReport;
      return &slot;
    }
  }
  return nullptr;
}

// What the stack shows, and which function of the user's it is about.
struct Walked {
  std::uintptr_t pcs[kStallFrames];
  int frames = 0;
  bool more = false;
  std::uintptr_t users = 0;  // where the innermost preemptible function begins
};

void Walk(const G* gp, const WalkStart& start, bool is_return_address, Walked* walked) {
  if (!gp->stack.Contains(start.rsp)) {
    walked->pcs[walked->frames++] = start.rip;
    return;
  }
  WalkFrames(
      start, gp->stack.lo, gp->stack.hi, kStallFrames + 1,
      [walked](const Frame& frame) {
        if (walked->frames == kStallFrames) {
          walked->more = true;
          return false;
        }
        walked->pcs[walked->frames++] = frame.lookup_pc();
        if (walked->users == 0 &&
            PreemptionMap::Classify(frame.lookup_pc()) == TextKind::kPreemptible) {
          walked->users = frame.has_cfi ? frame.function.begin : frame.lookup_pc();
        }
        return true;
      },
      is_return_address);
}

struct Finding {
  Counter cause = Counter::kCount;
  std::uintptr_t culprit = 0;
  bool in_system_call = false;
};

// Leaves a report, or counts that there is none. `labels_hold`: the goroutine can't end meanwhile.
void File(const M* m, const G* gp, std::uint64_t asked_ns, const Finding& finding,
          const Walked* walked, bool labels_hold) {
  const std::uint64_t users = walked == nullptr ? gp->start_pc : walked->users;
  Site& site = SiteOf(users + (std::uint64_t{static_cast<std::uint8_t>(finding.cause)} + 1) *
                                  (std::uint64_t{1} << 48));
  ReportSlot* slot = Admit(site, base::NowNs()) ? ClaimSlot() : nullptr;
  if (slot == nullptr) {
    site.suppressed.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  StallReport& report = slot->report;
  report.goid = gp->goid;
  report.parent_goid = gp->parent_goid;
  report.go_pc = gp->go_pc;
  std::memcpy(report.name, gp->name, sizeof(report.name));
  report.name[sizeof(report.name) - 1] = 0;
  if (labels_hold) report.labels = gp->labels;  // counts up, no more
  report.tid = m->tid;
  report.asked_ns = asked_ns;
  report.suppressed = site.suppressed.exchange(0, std::memory_order_relaxed);
  report.cause = finding.cause;
  report.in_system_call = finding.in_system_call;
  report.culprit = finding.culprit;
  if (walked != nullptr) {
    report.more_frames = walked->more;
    report.frames = walked->frames;
    std::memcpy(report.pcs, walked->pcs, sizeof(report.pcs[0]) * walked->frames);
  }
  // release: pairs with TakeStallReport's acquire; publishes the report.
  slot->state.store(SlotState::kReady, std::memory_order_release);
  if (auto* hook = g_hook.load(std::memory_order_acquire)) hook();
}

// Is gp's request older than the bound, and not reported yet? Then it counts as reported from now
// on. Sets how long ago it was asked.
bool IsStall(M* m, const G* gp, std::uint64_t* asked_ns) {
  const std::uint64_t bound = sched::g_sched.settings.stall_ns;
  if (bound == 0 || gp == nullptr || !gp->preempt.load(std::memory_order_acquire)) return false;
  const std::uint64_t asked = m->request.asked.load(std::memory_order_relaxed);
  const std::uint64_t now = base::Ticks();
  if (now < asked) return false;
  *asked_ns = base::NsOfTicks(now - asked);
  if (*asked_ns < bound) return false;
  return m->stall_told_ticks.exchange(asked, std::memory_order_relaxed) != asked;
}

// The function that the code at pc belongs to, as the table of deferrals knows it.
std::uintptr_t FunctionAt(std::uintptr_t pc) {
  FunctionBounds bounds;
  return BoundsOf(pc, &bounds) ? bounds.begin : pc;
}

}  // namespace

void NoteVerdict(M* m, G* gp, Counter verdict, const ucontext_t& context) {
  AnswerProbe(m, gp, context);
  if (verdict == Counter::kCount || gp == nullptr) return;
  const auto pc = static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
  if (verdict != Counter::kDeferNotWanted) trace::CountDeferral(verdict, FunctionAt(pc));
  std::uint64_t asked_ns;
  if (URGE_LIKELY(!IsStall(m, gp, &asked_ns))) return;
  Walked walked;
  Walk(gp, RegistersOf(context), /*is_return_address=*/false, &walked);
  File(m, gp, asked_ns, {verdict, pc, WasInSystemCall(pc)}, &walked, true);
}

void NoteSentOn(M* m, G* gp, Counter cause, std::uintptr_t culprit) {
  trace::CountDeferral(cause, culprit == 0 ? 0 : FunctionAt(culprit - 1));
  std::uint64_t asked_ns;
  if (URGE_LIKELY(!IsStall(m, gp, &asked_ns))) return;
  Walked walked;
  Walk(gp, StartOfParked(gp), /*is_return_address=*/true, &walked);
  File(m, gp, asked_ns, {cause, culprit == 0 ? 0 : culprit - 1, false}, &walked, true);
}

std::uint64_t WatchForStall(P* p, std::uint64_t now_ns) {
  const std::uint64_t bound = sched::g_sched.settings.stall_ns;
  if (URGE_LIKELY(bound == 0)) return base::kNever;
  M* m = p->m.load(std::memory_order_acquire);
  G* gp = m == nullptr ? nullptr : m->curg.load(std::memory_order_relaxed);
  if (gp == nullptr || !gp->preempt.load(std::memory_order_acquire)) return base::kNever;
  const std::uint64_t asked = m->request.asked.load(std::memory_order_relaxed);
  if (m->stall_told_ticks.load(std::memory_order_relaxed) == asked ||
      p->watch.stall_told_ticks == asked) {
    return base::kNever;
  }
  const std::uint64_t ticks = base::Ticks();
  const std::uint64_t asked_ns = ticks > asked ? base::NsOfTicks(ticks - asked) : 0;
  if (asked_ns < bound) return now_ns + (bound - asked_ns);
  // Its handler shows where it is, and with asyncpreemptoff=1 nobody else would call it.
  SendPreemptSignal(m);
  const std::uint64_t patience = 2 * bound + base::kStallGraceNs;
  if (asked_ns < patience) return now_ns + (patience - asked_ns);
  p->watch.stall_told_ticks = asked;
  File(m, gp, asked_ns, {}, nullptr, false);
  return base::kNever;
}

void SetStallHook(void (*hook)()) { g_hook.store(hook, std::memory_order_release); }

bool TakeStallReport(StallReport* report) {
  for (ReportSlot& slot : g_slots) {
    SlotState ready = SlotState::kReady;
    // acquire: pairs with File's release.
    if (!slot.state.compare_exchange_strong(ready, SlotState::kTaken, std::memory_order_acquire)) {
      continue;
    }
    *report = std::move(slot.report);
    slot.report.~StallReport();
    // release: pairs with ClaimSlot's acquire.
    slot.state.store(SlotState::kFree, std::memory_order_release);
    return true;
  }
  return false;
}

std::uint64_t TakeSuppressedStalls() {
  std::uint64_t sum = g_other_sites.suppressed.exchange(0, std::memory_order_relaxed);
  for (Site& site : g_sites) sum += site.suppressed.exchange(0, std::memory_order_relaxed);
  return sum;
}

}  // namespace urge::preempt

#include "runtime/recorder/chrome_trace.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/base/ticks.h"
#include "runtime/recorder/outline.h"
#include "runtime/recorder/tracks.h"
#include "runtime/sched/sched.h"
#include "runtime/trace/counters.h"

namespace urge::recorder {
namespace {

using trace::Event;
using trace::EventKind;

std::string_view ReasonName(std::uint8_t reason) {
  switch (static_cast<sched::PreemptReason>(reason)) {
    case sched::PreemptReason::kWakeup:
      return "wakeup";
    case sched::PreemptReason::kStop:
      return "stop";
    default:
      return "slice";
  }
}

std::string_view DeferralName(std::uint8_t counter) {
  using trace::Counter;
  switch (static_cast<Counter>(counter)) {
    case Counter::kDeferRuntime:
      return "in the runtime";
    case Counter::kDeferRuntimeLock:
      return "under a runtime lock";
    case Counter::kDeferOpaque:
      return "in code that is not allowed";
    case Counter::kDeferDenied:
      return "in a denied function";
    case Counter::kDeferNoPreempt:
      return "under no_preempt";
    case Counter::kDeferNoRoom:
      return "too little stack";
    case Counter::kDeferForeignStack:
      return "on a foreign stack";
    case Counter::kDeferSignalMask:
      return "signals blocked";
    case Counter::kDeferCallback:
      return "a foreign frame below";
    case Counter::kDeferUnwalkable:
      return "a frame that can't be walked";
    case Counter::kDeferThreads:
      return "thread-bound, too many threads";
    case Counter::kDeferNotWanted:
      return "came after the fact";
    default:
      return "?";
  }
}

// A request to a P's goroutine on its way, in ticks; 0: not come to that yet.
struct Preemption {
  std::uint64_t goid = 0;
  std::uint64_t due = 0, asked = 0, marked = 0, signalled = 0, handled = 0;
  std::uint64_t stopped = 0, off = 0, requeued = 0;
  std::uint64_t place = 0;  // of the last deferral
  std::uint32_t deferrals = 0;
  std::uint8_t reason = 0, by_signal = 0, deferral = 0;
};

class Writer {
 public:
  Writer(int fd, std::span<Event> events, FunctionNames::Mode mode)
      : events_(events), outline_(events), out_(fd), tracks_(out_), names_(mode) {}

  int Write(const Cause& cause);

 private:
  bool Ready() const { return tracks_.ok() && outline_.ok() && !preemptions_.empty(); }
  void DeclareTracks();
  void WriteEvent(std::size_t i);
  bool WriteGoroutine(std::size_t i);
  bool WriteSyscall(const Event& event);
  bool WritePreemption(const Event& event);
  bool WriteThread(const Event& event);
  void WriteOther(const Event& event);

  void Readied(std::size_t i, std::string_view why);
  void Start(std::size_t i);
  void Stop(const Event& event);
  void OpenRun(Track& proc, const Event& event, std::uint64_t goid);
  void OpenGoroutine(Track& track, std::uint64_t goid);
  void LoseTrack(const Event& gap);
  void NotePreemption(const Event& event);
  void WritePreempted(const Event& event);
  void WriteCounters(bool always);
  void WriteCause(const Cause& cause);
  void WriteTail(const Cause& cause);

  // {"ph":"i",… up to the value of "name", which the caller begins and ends.
  JsonOut& Instant(const Event& event, std::string_view category) {
    tracks_.Begin("i", TrackOf(event));
    return out_ << R"(,"s":"t","cat":")" << category << R"(","name":)";
  }
  void GoroutineName(std::uint64_t goid);

  Track& TrackOf(const Event& event) {
    return IsOfProc(event) ? tracks_.OfProc(event.source) : tracks_.OfThread(event.thread);
  }
  std::uint64_t NsOf(std::uint64_t ticks) const { return rate_.Ns(ticks); }

  std::span<Event> events_;
  Outline outline_;
  JsonOut out_;
  Tracks tracks_;
  FunctionNames names_;
  Pages<Preemption> preemptions_{base::kMaxProcs};
  const base::TickRate rate_;  // one for all, or time could go back
  Population now_;             // as of the event at hand
  Population shown_{-1, -1};
  std::uint64_t shown_ns_ = 0;
};

void Writer::GoroutineName(std::uint64_t goid) {
  const Goroutine* g = outline_.goroutines.Find(goid);
  std::string_view name = g == nullptr ? std::string_view() : g->Name();
  if (name.empty() && g != nullptr) name = names_.OfEntry(g->entry_pc);
  if (name.empty()) name = "goroutine";
  out_.Escaped(name) << " G" << goid;
}

void Writer::OpenGoroutine(Track& track, std::uint64_t goid) {
  tracks_.Open(track, Slice::kGoroutine, "goroutine");
  GoroutineName(goid);
  out_ << R"(","args":{"goid":)" << goid << "}}";
  track.goid = goid;
}

// On the P's track, and on that of the M that has it.
void Writer::OpenRun(Track& proc, const Event& event, std::uint64_t goid) {
  if (Goroutine* g = outline_.goroutines.Find(goid); g != nullptr) {
    // Whoever took its P away may have been too slow to tell.
    if (g->shown_on != 0) {
      Track& former = tracks_.OfProc(g->shown_on - 1);
      if (former.goid == goid) tracks_.CloseAll(former);
    }
    g->shown_on = event.source + 1u;
  }
  tracks_.CloseAll(proc);
  OpenGoroutine(proc, goid);
  Track& thread = tracks_.OfThread(event.thread);
  if (thread.goid != goid || thread.top() != Slice::kGoroutine) {
    tracks_.CloseAll(thread);
    OpenGoroutine(thread, goid);
  }
  proc.mirror = event.thread + 1u;
}

void Writer::Start(std::size_t i) {
  const Event& event = events_[i];
  Track& proc = TrackOf(event);
  OpenRun(proc, event, event.a);
  if (Goroutine* g = outline_.goroutines.Find(event.a); g != nullptr) {
    const std::uint32_t by = std::exchange(g->readied_by, 0);
    if (by != 0 && by <= i && events_[by - 1].order == 1) {
      tracks_.Begin("f", proc) << R"(,"bp":"e","cat":"wake","name":"readied","id":)" << by << "}";
    }
  }
  WritePreempted(event);
}

void Writer::Stop(const Event& event) {
  if (IsOfProc(event)) {
    tracks_.CloseAll(TrackOf(event));
    preemptions_[event.source].goid = 0;
  }
  tracks_.CloseAll(tracks_.OfThread(event.thread));
}

// Nothing is known any more of what the P does.
void Writer::LoseTrack(const Event& gap) {
  if (IsOfProc(gap)) {
    Track& proc = TrackOf(gap);
    if (proc.mirror != 0) {
      Track& thread = tracks_.OfThread(static_cast<std::uint16_t>(proc.mirror - 1));
      if (thread.goid == proc.goid) tracks_.CloseAll(thread);
    }
    tracks_.CloseAll(proc);
    preemptions_[gap.source].goid = 0;
    if (gap.a != 0) OpenRun(proc, gap, gap.a);
  }
  if (gap.b == 0) return;
  Instant(gap, "lost") << "\"" << gap.b << R"( events lost"})";
}

void Writer::Readied(std::size_t i, std::string_view why) {
  const Event& event = events_[i];
  Track& track = TrackOf(event);
  Goroutine* g = outline_.goroutines.Find(event.a);
  if (g != nullptr) g->readied_by = event.order == 0 ? 0 : static_cast<std::uint32_t>(i + 1);
  tracks_.OpenBrief(track, why);
  if (event.order != 0) {
    tracks_.Begin("s", track) << R"(,"cat":"wake","name":"readied","id":)" << i + 1 << "}";
  }
  Instant(event, "goroutine") << "\"" << why << " ";
  GoroutineName(event.a);
  out_ << R"(","args":{"goid":)" << event.a << "}}";
}

bool Writer::WriteGoroutine(std::size_t i) {
  const Event& event = events_[i];
  switch (event.kind) {
    case EventKind::kGoCreate:
      Readied(i, "create");
      return true;
    case EventKind::kGoUnblock:
      Readied(i, "unblock");
      return true;
    case EventKind::kGoStart:
      Start(i);
      return true;
    case EventKind::kGoYield:
    case EventKind::kGoEnd:
      Instant(event, "goroutine") << (event.kind == EventKind::kGoYield
                                          ? R"("yield","args":{"goid":)"
                                          : R"("end","args":{"goid":)")
                                  << event.a << "}}";
      Stop(event);
      return true;
    case EventKind::kGoBlock:
      Instant(event, "goroutine") << R"("block: )"
                                  << sched::Name(static_cast<sched::WaitReason>(event.detail))
                                  << R"(","args":{"goid":)" << event.a << "}}";
      Stop(event);
      return true;
    case EventKind::kGoName:
      return true;
    default:
      return false;
  }
}

bool Writer::WriteSyscall(const Event& event) {
  Track& track = TrackOf(event);
  Track& thread = tracks_.OfThread(event.thread);
  switch (event.kind) {
    case EventKind::kSyscallEnter:
      for (Track* t : {&track, &thread}) {
        if (t->top() != Slice::kGoroutine) continue;
        tracks_.Open(*t, Slice::kSyscall, "syscall")
            << (event.detail != 0 ? "blocking call" : "system call") << "\"}";
      }
      preemptions_[event.source].goid = 0;
      return true;
    case EventKind::kSyscallExit:
      if (thread.top() == Slice::kSyscall) tracks_.Close(thread);
      if (track.goid == event.a && track.top() == Slice::kSyscall) {
        tracks_.Close(track);
      } else {
        OpenRun(track, event, event.a);
      }
      return true;
    case EventKind::kSyscallQueue:
      tracks_.CloseAll(thread);
      return true;
    case EventKind::kSyscallRetake:
      tracks_.CloseAll(track);
      Instant(event, "syscall") << R"("retaken from a system call"})";
      return true;
    default:
      return false;
  }
}

void Writer::NotePreemption(const Event& event) {
  std::uint64_t proc = event.source;
  if (event.kind <= EventKind::kPreemptSignal) proc = event.b;
  if (event.kind == EventKind::kPreemptAsk) proc &= 0xffff;
  if (proc >= base::kMaxProcs) return;
  Preemption& p = preemptions_[proc];
  const auto once = [&](std::uint64_t& stage, std::uint64_t ticks) {
    if (stage == 0) stage = ticks;
  };
  if (event.kind == EventKind::kPreemptAsk) {
    if (p.goid != event.a) {
      p = Preemption{};
      p.goid = event.a;
      p.asked = event.ticks;
      p.due = event.ticks - (event.b >> 16);
    }
    p.reason = event.detail;
    return;
  }
  if (p.goid != event.a) return;
  switch (event.kind) {
    case EventKind::kPreemptMark:
      return once(p.marked, event.ticks);
    case EventKind::kPreemptSignal:
      return once(p.signalled, event.ticks);
    case EventKind::kPreemptHandle:
      return once(p.handled, event.ticks);
    case EventKind::kPreemptDefer:
      ++p.deferrals;
      p.deferral = event.detail;
      p.place = event.b;
      return;
    case EventKind::kPreemptStop:
      p.by_signal = event.detail;
      p.stopped = event.b;
      p.off = event.ticks;
      return;
    case EventKind::kPreemptRequeue:
      p.requeued = event.ticks;
      return;
    default:
      return;
  }
}

// The next goroutine runs where one was preempted: all stages are known.
void Writer::WritePreempted(const Event& event) {
  Preemption& p = preemptions_[event.source];
  if (p.goid == 0 || p.requeued == 0) return;
  Instant(event, "preempt") << R"("preempted )";
  GoroutineName(p.goid);
  out_ << R"(","args":{"goid":)" << p.goid << R"(,"reason":")" << ReasonName(p.reason)
       << R"(","by":")" << (p.by_signal != 0 ? "signal" : "prologue") << "\"";
  // Each stage from the event before, as in <urge/metrics.h>; what didn't happen is left out.
  std::uint64_t before = p.due;
  const auto stage = [&](std::string_view key, std::uint64_t ticks) {
    if (ticks == 0) return;
    const std::uint64_t since = before;
    before = std::max(before, ticks);
    out_ << "," << key;
    out_.Micros(NsOf(before - since));
  };
  stage(R"("detected_us":)", p.asked);
  stage(R"("marked_us":)", p.marked);
  stage(R"("signalled_us":)", p.signalled);
  stage(R"("handled_us":)", p.handled);
  stage(R"("accepted_us":)", p.stopped);
  stage(R"("switched_off_us":)", p.off);
  stage(R"("requeued_us":)", p.requeued);
  stage(R"("next_running_us":)", event.ticks);
  out_ << R"(,"total_us":)";
  out_.Micros(NsOf(event.ticks - std::min(p.due, event.ticks)));
  out_ << R"(,"deferrals":)" << p.deferrals;
  if (p.deferrals != 0) {
    out_ << R"(,"deferred":")" << DeferralName(p.deferral) << R"(","deferred_at":)";
    out_.String(names_.OfPlace(p.place));
  }
  out_ << "}}";
  p.goid = 0;
}

bool Writer::WritePreemption(const Event& event) {
  std::string_view what;
  switch (event.kind) {
    case EventKind::kPreemptAsk:
      what = "ask to stop ";
      break;
    case EventKind::kPreemptMark:
      what = "mark ";
      break;
    case EventKind::kPreemptSignal:
      what = "signal ";
      break;
    case EventKind::kPreemptHandle:
      what = event.detail != 0 ? "timer's signal meets " : "signal meets ";
      break;
    case EventKind::kPreemptDefer:
      what = "deferred ";
      break;
    case EventKind::kPreemptStop:
      what = event.detail != 0 ? "stopped by signal " : "stopped by prologue ";
      break;
    case EventKind::kPreemptRequeue:
      what = "requeue ";
      break;
    default:
      return false;
  }
  NotePreemption(event);
  Instant(event, "preempt") << "\"" << what;
  GoroutineName(event.a);
  out_ << R"(","args":{"goid":)" << event.a;
  if (event.kind == EventKind::kPreemptAsk) {
    out_ << R"(,"reason":")" << ReasonName(event.detail) << R"(","P":)" << (event.b & 0xffff);
  }
  if (event.kind == EventKind::kPreemptDefer) {
    out_ << R"(,"cause":")" << DeferralName(event.detail) << R"(","at":)";
    out_.String(names_.OfPlace(event.b));
  }
  if (event.kind == EventKind::kPreemptRequeue) {
    constexpr std::string_view kTo[] = {"global queue", "head of its P", "stays stopped"};
    out_ << R"(,"to":")" << kTo[event.detail % 3] << "\"";
  }
  out_ << "}}";
  if (event.kind == EventKind::kPreemptStop) {
    tracks_.CloseAll(TrackOf(event));
    tracks_.CloseAll(tracks_.OfThread(event.thread));
  }
  return true;
}

bool Writer::WriteThread(const Event& event) {
  Track& thread = tracks_.OfThread(event.thread);
  switch (event.kind) {
    case EventKind::kThreadStart:
      Instant(event, "thread") << R"("thread starts","args":{"tid":)" << event.a << "}}";
      return true;
    case EventKind::kThreadPark:
      tracks_.CloseAll(thread);
      tracks_.Open(thread, Slice::kParked, "thread")
          << (event.detail != 0 ? R"(waits for its goroutine"})" : R"(parked"})");
      return true;
    case EventKind::kThreadUnpark:
      if (thread.top() == Slice::kParked) tracks_.Close(thread);
      return true;
    case EventKind::kThreadExit:
      tracks_.CloseAll(thread);
      Instant(event, "thread") << R"("thread ends"})";
      return true;
    case EventKind::kSysmonWake:
      tracks_.CloseAll(thread);
      tracks_.Open(thread, Slice::kAwake, "sysmon") << R"(awake"})";
      return true;
    case EventKind::kSysmonSleep:
      tracks_.CloseAll(thread);
      return true;
    default:
      return false;
  }
}

void Writer::WriteOther(const Event& event) {
  switch (event.kind) {
    case EventKind::kSteal:
      Instant(event, "scheduler") << R"("steal","args":{"goid":)" << event.a << R"(,"from_P":)"
                                  << (event.b & 0xffffffffu) << R"(,"goroutines":)"
                                  << (event.b >> 32) << "}}";
      break;
    case EventKind::kTimerFire:
      tracks_.OpenBrief(TrackOf(event), "timer");
      Instant(event, "timer") << R"("timer","args":{"late_us":)";
      out_.Micros(event.a) << "}}";
      break;
    case EventKind::kProcStart:
      Instant(event, "proc") << R"("P starts","args":{"M":)" << event.thread << "}}";
      break;
    case EventKind::kProcStop:
      tracks_.CloseAll(TrackOf(event));
      Instant(event, "proc") << R"("P stops","args":{"M":)" << event.thread << "}}";
      break;
    case EventKind::kProcHandOff:
      Instant(event, "proc") << R"("P is handed on"})";
      break;
    case EventKind::kWorldStop:
      tracks_.CloseAll(tracks_.World());
      tracks_.Open(tracks_.World(), Slice::kWorld, "world") << R"(stop the world"})";
      break;
    case EventKind::kWorldStopped:
      tracks_.Begin("i", tracks_.World())
          << R"(,"s":"t","cat":"world","name":")"
          << (event.detail != 0 ? R"(all have stopped"})" : R"(some could not be stopped"})");
      break;
    case EventKind::kWorldStart:
      tracks_.CloseAll(tracks_.World());
      break;
    case EventKind::kStarve:
      Instant(event, "starvation") << R"("starves: )";
      GoroutineName(event.a);
      out_ << R"(","args":{"goid":)" << event.a << R"(,"waited_us":)";
      out_.Micros(event.b) << "}}";
      break;
    default:
      break;
  }
}

void Writer::WriteEvent(std::size_t i) {
  const Event& event = events_[i];
  tracks_.SetTime(NsOf(event.ticks - events_[0].ticks));
  if (event.kind == EventKind::kGap) {
    LoseTrack(event);
    return;
  }
  static_cast<void>(WriteGoroutine(i) || WriteSyscall(event) || WritePreemption(event) ||
                    WriteThread(event) || (WriteOther(event), true));
  now_.Count(event);
  WriteCounters(/*always=*/false);
}

void Writer::WriteCounters(bool always) {
  // Often enough for the eye.
  constexpr std::uint64_t kSpacingNs = 20'000;
  const std::uint64_t now = tracks_.time_ns();
  if (now_ == shown_ || (!always && shown_ns_ != 0 && now < shown_ns_ + kSpacingNs)) return;
  const auto counter = [&](std::string_view name, std::int64_t value) {
    tracks_.BeginCounter() << R"(,"name":")" << name << R"(","args":{")" << name << R"(":)"
                           << static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0)) << "}}";
  };
  if (always || now_.alive != shown_.alive) counter("goroutines", now_.alive);
  if (always || now_.runnable != shown_.runnable) counter("runnable", now_.runnable);
  shown_ = now_;
  shown_ns_ = now;
}

void Writer::DeclareTracks() {
  for (std::uint32_t id = 0; id < base::kMaxProcs; ++id) {
    if (outline_.procs[id]) tracks_.OfProc(id).used = true;
  }
  for (std::uint32_t thread = 0; thread < outline_.threads.size(); ++thread) {
    if (outline_.threads[thread]) tracks_.OfThread(static_cast<std::uint16_t>(thread)).used = true;
  }
  tracks_.World().used = outline_.world;
  tracks_.WriteNames();
}

// Why there is a trace, on all tracks at its end.
void Writer::WriteCause(const Cause& cause) {
  if (cause.goid == 0) return;
  tracks_.Begin("i", tracks_.OfProc(0)) << R"(,"s":"g","cat":"starvation","name":"starvation: )";
  GoroutineName(cause.goid);
  out_ << R"(","args":{"goid":)" << cause.goid << R"(,"waited_us":)";
  out_.Micros(cause.waited_ns) << "}}";
}

void Writer::WriteTail(const Cause& cause) {
  const std::uint64_t now = base::NowNs();
  const std::uint64_t age = events_.empty() ? 0 : NsOf(base::Ticks() - events_[0].ticks);
  out_ << "\n],\n"
       << R"("displayTimeUnit":"ns","otherData":{"producer":"urge","reason":)";
  out_.String(cause.reason) << R"(,"pid":")" << static_cast<std::uint64_t>(getpid())
                            << R"(","events":")" << events_.size() << R"(","events_lost":")"
                            << outline_.lost << R"(","begin_monotonic_ns":")" << now - age << "\"";
  if (cause.goid != 0) {
    out_ << R"(,"starved":")";
    GoroutineName(cause.goid);
    out_ << R"(","starved_goid":")" << cause.goid << R"(","starved_ns":")" << cause.waited_ns
         << "\"";
  }
  out_ << "}}\n";
}

int Writer::Write(const Cause& cause) {
  if (!Ready()) return ENOMEM;
  now_ = outline_.at_begin;
  out_ << R"({"traceEvents":[)";
  DeclareTracks();
  for (std::size_t i = 0; i < events_.size(); ++i) WriteEvent(i);
  WriteCounters(/*always=*/true);
  WriteCause(cause);
  for (std::uint32_t id = 0; id < base::kMaxProcs; ++id) {
    if (outline_.procs[id]) tracks_.CloseAll(tracks_.OfProc(id));
  }
  for (std::uint32_t thread = 0; thread < outline_.threads.size(); ++thread) {
    if (outline_.threads[thread]) {
      tracks_.CloseAll(tracks_.OfThread(static_cast<std::uint16_t>(thread)));
    }
  }
  tracks_.CloseAll(tracks_.World());
  WriteTail(cause);
  return out_.Flush();
}

}  // namespace

int WriteChromeTrace(int fd, std::span<Event> events, const Cause& cause,
                     FunctionNames::Mode mode) {
  return Writer(fd, events, mode).Write(cause);
}

}  // namespace urge::recorder

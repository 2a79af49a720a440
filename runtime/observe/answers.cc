#include "runtime/observe/answers.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/observe/json.h"

namespace urge::observe {
namespace {

using sched::g_sched;
using sched::GStatus;
using sched::PStatus;

constinit std::atomic<std::uint64_t> g_served_from_ns{0};

constexpr const char* kRequests[] = {"snapshot", "metrics", "openmetrics", "help"};

JsonObject Object() {
  JsonObject object;
  object.Add("protocol", kProtocol);
  return object;
}

std::string Metrics(const metrics& values) {
  std::ostringstream out;
  write_metrics(out, values, metrics_format::json);
  return absl::StrReplaceAll(out.str(), {{"\n", ""}});
}

const char* Name(PStatus status) {
  switch (status) {
    case PStatus::kIdle:
      return "idle";
    case PStatus::kRunning:
      return "running";
    case PStatus::kSyscall:
      return "syscall";
    case PStatus::kStopped:
      return "stopped";
    case PStatus::kDead:
      return "dead";
  }
  return "?";
}

// A P that the interval saw begin has been there for all of it, without an owner before.
double Load(const ProcLook& now, const std::vector<ProcLook>& before, std::uint64_t interval_ns) {
  const auto index = static_cast<std::size_t>(now.id);
  const std::uint64_t unowned_before = index < before.size() ? before[index].unowned_ns : 0;
  const std::uint64_t unowned = now.unowned_ns - std::min(unowned_before, now.unowned_ns);
  if (interval_ns == 0) return 0;
  return 1.0 - static_cast<double>(unowned) / static_cast<double>(interval_ns);
}

std::string Procs(const std::vector<ProcLook>& procs, const std::vector<ProcLook>& before,
                  std::uint64_t interval_ns) {
  JsonArray array;
  for (const ProcLook& p : procs) {
    JsonObject object;
    object.Add("id", p.id)
        .Add("state", p.tid != 0 && p.goroutine.goid == 0 ? "searching" : Name(p.status))
        .Raw("load", JsonShare(Load(p, before, interval_ns)))
        .Add("queued", p.queued)
        .Add("thread", p.tid)
        .Add("goroutine", p.goroutine.goid)
        .Add("name", p.goroutine.name)
        .Add("running_ns", p.running_ns)
        .Add("slices", p.slices)
        .Add("switches", p.switches)
        .Add("syscalls", p.syscalls)
        .Add("spare", p.spare);
    array.Add(object.Done());
  }
  return array.Done();
}

std::string Threads(const ThreadCounts& threads) {
  return JsonObject()
      .Add("scheduler", threads.scheduler)
      .Add("idle", threads.idle)
      .Add("wired_idle", threads.wired_idle)
      .Add("spinning", threads.spinning)
      .Add("own", threads.own)
      .Add("blocked", threads.blocked)
      .Done();
}

constexpr GStatus kStates[] = {GStatus::kRunning, GStatus::kRunnable, GStatus::kSyscall,
                               GStatus::kWaiting, GStatus::kPreempted};

std::string Goroutines(const GoroutineCounts& counts) {
  JsonObject object;
  std::uint64_t total = 0;
  for (const GStatus status : kStates) total += counts.Of(status);
  object.Add("total", total);
  for (const GStatus status : kStates) object.Add(sched::Name(status), counts.Of(status));
  object.Add("wired", counts.wired).Add("system", counts.system);
  JsonObject reasons;
  for (std::size_t i = 0; i < kWaitReasonCount; ++i) {
    if (counts.by_wait_reason[i] == 0) continue;
    reasons.Add(sched::Name(static_cast<sched::WaitReason>(i)), counts.by_wait_reason[i]);
  }
  return object.Raw("waiting_for", reasons.Done()).Done();
}

// Figures that go up and down, which `metrics` has none of.
std::string Gauges() {
  std::string out;
  const auto family = [&](absl::string_view name, absl::string_view help) {
    absl::StrAppend(&out, "# TYPE urge_", name, " gauge\n# HELP urge_", name, " ", help, "\n");
  };
  const auto sample = [&](absl::string_view name, absl::string_view label, absl::string_view value,
                          auto number) {
    absl::StrAppend(&out, "urge_", name, "{", label, "=\"", value, "\"} ", number, "\n");
  };
  const GoroutineCounts goroutines = CountGoroutines();
  family("goroutines", "Goroutines by state.");
  for (const GStatus status : kStates) {
    sample("goroutines", "state", sched::Name(status), goroutines.Of(status));
  }
  const ThreadCounts threads = CountThreads();
  family("threads", "Threads that run goroutines, by what they do.");
  const int asleep = threads.idle + threads.wired_idle;
  sample("threads", "state", "idle", asleep);
  sample("threads", "state", "busy", std::max(0, threads.scheduler - asleep));
  const std::vector<ProcLook> procs = LookAtProcs();
  family("procs", "Processors, spare ones included.");
  absl::StrAppend(&out, "urge_procs ", procs.size(), "\n");
  family("run_queue", "Goroutines that wait for a processor, by queue.");
  sample("run_queue", "queue", "global", g_sched.global_size.load(std::memory_order_relaxed));
  for (const ProcLook& p : procs) sample("run_queue", "queue", absl::StrCat(p.id), p.queued);
  return out;
}

std::string OpenMetrics() {
  std::ostringstream out;
  write_metrics(out, metrics_format::openmetrics);
  return Gauges() + out.str();
}

std::string HttpAnswer(absl::string_view status, absl::string_view type, absl::string_view body) {
  return absl::StrCat("HTTP/1.1 ", status, "\r\nContent-Type: ", type,
                      "\r\nContent-Length: ", body.size(), "\r\nConnection: close\r\n\r\n", body);
}

}  // namespace

void NoteServedFrom(std::uint64_t now_ns) {
  g_served_from_ns.store(now_ns, std::memory_order_relaxed);
}

std::string ErrorAnswer(std::string_view what) { return Object().Add("error", what).Done() + "\n"; }

std::string Answerer::Snapshot() {
  const std::uint64_t now = base::NowNs();
  Previous current{.at_ns = now, .values = read_metrics(), .procs = LookAtProcs()};
  const std::uint64_t served_from = g_served_from_ns.load(std::memory_order_relaxed);
  const std::uint64_t interval = now - (previous_ ? previous_->at_ns : served_from);
  const sched::Settings& settings = g_sched.settings;
  JsonObject object = Object();
  object.Add("pid", getpid())
      .Add("program", program_invocation_short_name)
      .Add("served_ns", now - served_from)
      .Add("interval_ns", interval)
      .Add("slice_ns", settings.slice_ns)
      .Add("procs", sched::WantedProcs())
      .Add("spare_procs", g_sched.spare_ps.load(std::memory_order_relaxed))
      .Add("idle_procs", g_sched.idle_ps.load(std::memory_order_relaxed))
      .Raw("preemption", JsonObject()
                             .Add("prologue", settings.cooperative_preempt)
                             .Add("signal", settings.async_preempt)
                             .Add("wakeup", settings.wakeup_preempt)
                             .Done())
      .Add("global_queue", g_sched.global_size.load(std::memory_order_relaxed))
      .Raw("ps",
           Procs(current.procs, previous_ ? previous_->procs : std::vector<ProcLook>(), interval))
      .Raw("goroutines", Goroutines(CountGoroutines()))
      .Raw("threads", Threads(CountThreads()))
      .Raw("total", Metrics(current.values))
      .Raw("since", Metrics(previous_ ? current.values - previous_->values : current.values));
  previous_ = std::move(current);
  return object.Done() + "\n";
}

std::string Answerer::Answer(std::string_view line) {
  const absl::string_view request = absl::StripAsciiWhitespace({line.data(), line.size()});
  if (request == "snapshot") return Snapshot();
  if (request == "openmetrics") return OpenMetrics();
  if (request == "metrics") return Object().Raw("metrics", Metrics(read_metrics())).Done() + "\n";
  if (request == "help") {
    JsonArray names;
    for (const char* name : kRequests) names.Add(JsonString(name));
    return Object().Raw("requests", names.Done()).Done() + "\n";
  }
  return ErrorAnswer(absl::StrCat("there is no request \"", request, "\"; \"help\" lists them"));
}

std::string Answerer::AnswerHttp(std::string_view head) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(absl::string_view(head.data(), head.find_first_of("\r\n")), ' ');
  const absl::string_view path = words.size() > 1 ? words[1] : "";
  if (path == "/metrics") {
    return HttpAnswer("200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8",
                      OpenMetrics());
  }
  if (path == "/") return HttpAnswer("200 OK", "application/json", Snapshot());
  return HttpAnswer(
      "404 Not Found", "application/json",
      ErrorAnswer(absl::StrCat("there is no \"", path, "\"; there are /metrics and /")));
}

}  // namespace urge::observe

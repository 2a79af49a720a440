// The OpenMetrics form of `metrics`, for Prometheus and its kin: a family per figure.
//
//   urge_spawns_total            a counter
//   urge_slice_length_seconds    a histogram: cumulative buckets, _count and _sum
//
// The runtime's 1152 buckets are handed on at two to the power of two, from 128 ns to 17 s, so that
// a scrape has some fifty lines for each distribution. The bounds are the same in every scrape, as
// they must be for sums and rates. A bucket holds what is at most its bound, and values are whole
// nanoseconds: so a bound is the largest value below the runtime's next bucket.
//
// Source: the OpenMetrics specification 1.0.0, sections 4 (text format) and 5.3 (histograms).

#include <array>
#include <charconv>
#include <ostream>
#include <string_view>

#include "runtime/trace/metric_fields.h"

namespace urge::trace {
namespace {

// What a figure means; one whose name is not here is written without.
constexpr struct {
  std::string_view name;
  std::string_view help;
} kHelp[] = {
    {"spawns", "Goroutines started."},
    {"exits", "Goroutines ended."},
    {"yields", "Voluntary yields."},
    {"parks", "Goroutines that began to wait."},
    {"readies", "Goroutines that were woken."},
    {"steals", "Successful steals from another processor's run queue."},
    {"stolen_goroutines", "Goroutines taken by steals."},
    {"handoffs", "Processors handed to another thread."},
    {"syscall_retakes", "Processors taken from a thread in a system call."},
    {"spare_procs", "Processors added because one was stuck with a blocked thread."},
    {"timers_fired", "Timers that fired."},
    {"threads_started", "Threads started to run goroutines."},
    {"sysmon_wakeups", "Rounds of the monitoring thread."},
    {"requests_slice", "Preemptions asked for because a time slice was used up."},
    {"requests_wakeup", "Preemptions asked for because somebody woke and no processor was idle."},
    {"requests_stop", "Preemptions asked for by stop-the-world and stack dumps."},
    {"marks", "Marks put into a guard word."},
    {"signals_sent", "Preemption signals sent by another thread."},
    {"timer_signals", "Preemption signals from a timer set for the end of a slice."},
    {"acks_prologue", "Requests answered by a function's prologue."},
    {"acks_signal", "Requests answered by an injected call."},
    {"acks_voluntary", "Requests overtaken by a goroutine that stopped by itself."},
    {"superseded", "Requests replaced by a stronger one."},
    {"wired_by_frame", "Goroutines preempted in code that is bound to its thread."},
    {"deferred_runtime", "Requests put off: in the runtime's code."},
    {"deferred_runtime_lock", "Requests put off: holding a lock of the runtime."},
    {"deferred_opaque", "Requests put off: in a library that was not allowed."},
    {"deferred_denied", "Requests put off: in a denied function."},
    {"deferred_no_preempt", "Requests put off: under urge::no_preempt."},
    {"deferred_no_room", "Requests put off: too little stack left."},
    {"deferred_foreign_stack", "Requests put off: on a stack that is not the goroutine's."},
    {"deferred_signal_mask", "Requests put off: with signals blocked."},
    {"deferred_callback", "Requests put off: a foreign frame below may hold a lock."},
    {"deferred_unwalkable", "Requests put off: a frame below can't be walked past."},
    {"deferred_threads", "Requests put off: bound to a thread, and too many have one."},
    {"deferred_not_wanted", "Signals that came after the answer."},
    {"deferrals", "Requests put off, by the function that they met."},
    {"slice_length", "How long goroutines that were preempted had run."},
    {"timer_lateness", "From a timer's deadline to its callback."},
    {"ack_prologue", "From a request until a prologue stopped the goroutine."},
    {"ack_signal", "From a request until a signal stopped the goroutine."},
    {"wakeup_to_run", "From a goroutine's wake-up until it ran."},
    {"slice_timer_delivery", "From the end of a slice timer until its signal's handler."},
    {"preempt_detected", "From the end of a slice, or a wake-up, until it was noticed."},
    {"preempt_marked", "From noticing until the mark was set."},
    {"preempt_signalled", "From noticing until the signal was sent."},
    {"preempt_handled", "From sending the signal until its handler was entered."},
    {"preempt_accepted", "From the request until the goroutine's own code had stopped."},
    {"preempt_deferred", "From the first deferral until the goroutine's own code had stopped."},
    {"preempt_switched_off", "From the stop until the goroutine was off and its frames walked."},
    {"preempt_requeued", "From being switched off until the goroutine was queued."},
    {"preempt_next_running", "From queueing until the next goroutine ran."},
    {"preempt_total", "From being due until the next goroutine ran."},
};

std::string_view HelpOf(std::string_view name) {
  for (const auto& row : kHelp) {
    if (row.name == name) return row.help;
  }
  return {};
}

void WriteHead(std::ostream& out, std::string_view name, std::string_view type,
               std::string_view unit) {
  const auto family = [&](std::string_view keyword) -> std::ostream& {
    out << "# " << keyword << " urge_" << name;
    if (!unit.empty()) out << '_' << unit;
    return out << ' ';
  };
  family("TYPE") << type << '\n';
  if (!unit.empty()) family("UNIT") << unit << '\n';
  if (const std::string_view help = HelpOf(name); !help.empty()) family("HELP") << help << '\n';
}

// Nanoseconds as seconds, exactly: a double has 53 bits, and sums may need more.
void WriteSeconds(std::ostream& out, std::uint64_t ns) {
  out << ns / 1'000'000'000 << '.';
  const std::uint64_t fraction = ns % 1'000'000'000;
  for (std::uint64_t digit = 100'000'000; digit != 0; digit /= 10) out << fraction / digit % 10;
}

void WriteLabel(std::ostream& out, std::string_view value) {
  out << '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') out << '\\';
    if (c == '\n') {
      out << "\\n";
    } else {
      out << c;
    }
  }
  out << '"';
}

void WriteCounter(std::ostream& out, std::string_view name, std::uint64_t total) {
  WriteHead(out, name, "counter", "");
  out << "urge_" << name << "_total " << total << '\n';
}

void WriteHistogram(std::ostream& out, std::string_view name, const HistogramSnapshot& snapshot) {
  WriteHead(out, name, "histogram", "seconds");
  const auto sample = [&](std::string_view suffix) -> std::ostream& {
    return out << "urge_" << name << "_seconds_" << suffix;
  };
  std::uint64_t below = 0;
  std::size_t next = 0;
  const auto bucket = [&](std::uint64_t end_ns) {
    for (const std::size_t end = HistogramBuckets::IndexOf(end_ns); next < end; ++next) {
      below += snapshot.buckets[next];
    }
    std::array<char, 32> text;
    const auto [last, error] =
        std::to_chars(text.begin(), text.end(), static_cast<double>(end_ns - 1) / 1e9);
    static_cast<void>(error);  // 32 characters hold every double
    sample("bucket{le=\"") << std::string_view(text.begin(), last) << "\"} " << below << '\n';
  };
  constexpr int kFirstBit = 7, kLastBit = 34;
  for (int bit = kFirstBit; bit < kLastBit; ++bit) {
    bucket(std::uint64_t{1} << bit);
    bucket(std::uint64_t{3} << (bit - 1));
  }
  bucket(std::uint64_t{1} << kLastBit);
  const std::uint64_t count = snapshot.Count();
  sample("bucket{le=\"+Inf\"} ") << count << '\n';
  sample("count ") << count << '\n';
  sample("sum ");
  WriteSeconds(out, snapshot.sum_ns);
  out << '\n';
}

}  // namespace

void WriteOpenMetrics(std::ostream& out, const metrics& values) {
  ForEachMetric(
      values, [&](std::string_view name, std::uint64_t total) { WriteCounter(out, name, total); },
      [&](std::string_view name, const HistogramSnapshot& snapshot) {
        WriteHistogram(out, name, snapshot);
      });
  if (!values.deferral_sites.empty()) WriteHead(out, "deferrals", "counter", "");
  for (const deferral_site& site : values.deferral_sites) {
    out << "urge_deferrals_total{cause=";
    WriteLabel(out, site.cause);
    out << ",module=";
    WriteLabel(out, site.module);
    out << ",symbol=";
    WriteLabel(out, site.symbol);
    out << "} " << site.count << '\n';
  }
  out << "# EOF\n";
}

}  // namespace urge::trace

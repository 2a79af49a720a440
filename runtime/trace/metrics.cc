// <urge/metrics.h>: sums over the registry of stats, and their written forms (the third is in
// openmetrics.cc).
//
// Two tables say which field of `metrics` is which counter or histogram and under what name it is
// written; all else loops over them. A counter without a row does not compile.

#include <urge/metrics.h>

#include <algorithm>
#include <iomanip>
#include <locale>
#include <ostream>
#include <stdexcept>
#include <string>

#include "runtime/trace/counters.h"
#include "runtime/trace/deferral_sites.h"
#include "runtime/trace/metric_fields.h"

namespace urge {

struct metrics_access {
  static trace::HistogramSnapshot ToSnapshot(const latency_distribution& d) {
    trace::HistogramSnapshot snapshot;
    std::copy(d.buckets_.begin(), d.buckets_.end(), snapshot.buckets.begin());
    snapshot.sum_ns = d.sum_ns_;
    snapshot.max_ns = d.max_ns_;
    return snapshot;
  }
  static latency_distribution FromSnapshot(const trace::HistogramSnapshot& snapshot) {
    latency_distribution d;
    d.count_ = snapshot.Count();
    if (d.count_ == 0) return d;
    d.buckets_.assign(snapshot.buckets.begin(), snapshot.buckets.end());
    d.sum_ns_ = snapshot.sum_ns;
    d.max_ns_ = snapshot.max_ns;
    return d;
  }
};

namespace {

using trace::Counter;
using trace::Latency;

struct CounterField {
  Counter counter;
  std::uint64_t metrics::*field;
  const char* name;
};
constexpr CounterField kCounterFields[] = {
    {Counter::kSpawns, &metrics::spawns, "spawns"},
    {Counter::kExits, &metrics::exits, "exits"},
    {Counter::kYields, &metrics::yields, "yields"},
    {Counter::kParks, &metrics::parks, "parks"},
    {Counter::kReadies, &metrics::readies, "readies"},
    {Counter::kSteals, &metrics::steals, "steals"},
    {Counter::kStolenGoroutines, &metrics::stolen_goroutines, "stolen_goroutines"},
    {Counter::kHandoffs, &metrics::handoffs, "handoffs"},
    {Counter::kSyscallRetakes, &metrics::syscall_retakes, "syscall_retakes"},
    {Counter::kSparePs, &metrics::spare_procs, "spare_procs"},
    {Counter::kTimersFired, &metrics::timers_fired, "timers_fired"},
    {Counter::kThreadsStarted, &metrics::threads_started, "threads_started"},
    {Counter::kSysmonWakeups, &metrics::sysmon_wakeups, "sysmon_wakeups"},
    {Counter::kRequestsSlice, &metrics::requests_slice, "requests_slice"},
    {Counter::kRequestsWakeup, &metrics::requests_wakeup, "requests_wakeup"},
    {Counter::kRequestsStop, &metrics::requests_stop, "requests_stop"},
    {Counter::kMarks, &metrics::marks, "marks"},
    {Counter::kSignalsSent, &metrics::signals_sent, "signals_sent"},
    {Counter::kTimerSignals, &metrics::timer_signals, "timer_signals"},
    {Counter::kAckPrologue, &metrics::acks_prologue, "acks_prologue"},
    {Counter::kAckSignal, &metrics::acks_signal, "acks_signal"},
    {Counter::kAckVoluntary, &metrics::acks_voluntary, "acks_voluntary"},
    {Counter::kSuperseded, &metrics::superseded, "superseded"},
    {Counter::kWiredByFrame, &metrics::wired_by_frame, "wired_by_frame"},
    {Counter::kDeferRuntime, &metrics::deferred_runtime, "deferred_runtime"},
    {Counter::kDeferRuntimeLock, &metrics::deferred_runtime_lock, "deferred_runtime_lock"},
    {Counter::kDeferOpaque, &metrics::deferred_opaque, "deferred_opaque"},
    {Counter::kDeferDenied, &metrics::deferred_denied, "deferred_denied"},
    {Counter::kDeferNoPreempt, &metrics::deferred_no_preempt, "deferred_no_preempt"},
    {Counter::kDeferNoRoom, &metrics::deferred_no_room, "deferred_no_room"},
    {Counter::kDeferForeignStack, &metrics::deferred_foreign_stack, "deferred_foreign_stack"},
    {Counter::kDeferSignalMask, &metrics::deferred_signal_mask, "deferred_signal_mask"},
    {Counter::kDeferCallback, &metrics::deferred_callback, "deferred_callback"},
    {Counter::kDeferUnwalkable, &metrics::deferred_unwalkable, "deferred_unwalkable"},
    {Counter::kDeferThreads, &metrics::deferred_threads, "deferred_threads"},
    {Counter::kDeferNotWanted, &metrics::deferred_not_wanted, "deferred_not_wanted"},
};

struct LatencyField {
  Latency latency;
  latency_distribution metrics::*field;
  const char* name;
};
constexpr LatencyField kLatencyFields[] = {
    {Latency::kSliceLength, &metrics::slice_length, "slice_length"},
    {Latency::kTimerLateness, &metrics::timer_lateness, "timer_lateness"},
    {Latency::kAckPrologue, &metrics::ack_prologue, "ack_prologue"},
    {Latency::kAckSignal, &metrics::ack_signal, "ack_signal"},
    {Latency::kWakeupToRun, &metrics::wakeup_to_run, "wakeup_to_run"},
    {Latency::kSliceTimerDelivery, &metrics::slice_timer_delivery, "slice_timer_delivery"},
    {Latency::kPreemptDetected, &metrics::preempt_detected, "preempt_detected"},
    {Latency::kPreemptMarked, &metrics::preempt_marked, "preempt_marked"},
    {Latency::kPreemptSignalled, &metrics::preempt_signalled, "preempt_signalled"},
    {Latency::kPreemptHandled, &metrics::preempt_handled, "preempt_handled"},
    {Latency::kPreemptAccepted, &metrics::preempt_accepted, "preempt_accepted"},
    {Latency::kPreemptDeferred, &metrics::preempt_deferred, "preempt_deferred"},
    {Latency::kPreemptSwitchedOff, &metrics::preempt_switched_off, "preempt_switched_off"},
    {Latency::kPreemptRequeued, &metrics::preempt_requeued, "preempt_requeued"},
    {Latency::kPreemptNextRunning, &metrics::preempt_next_running, "preempt_next_running"},
    {Latency::kPreemptTotal, &metrics::preempt_total, "preempt_total"},
};

constexpr bool TablesAreComplete() {
  if (std::size(kCounterFields) != trace::kCounterCount) return false;
  if (std::size(kLatencyFields) != trace::kLatencyCount) return false;
  for (std::size_t i = 0; i < trace::kCounterCount; ++i) {
    if (static_cast<std::size_t>(kCounterFields[i].counter) != i) return false;
  }
  for (std::size_t i = 0; i < trace::kLatencyCount; ++i) {
    if (static_cast<std::size_t>(kLatencyFields[i].latency) != i) return false;
  }
  return true;
}
static_assert(TablesAreComplete());

bool IsDeferral(Counter counter) {
  return counter >= Counter::kDeferRuntime && counter <= Counter::kDeferNotWanted;
}

// Figures read one after another while they grow may differ by a few the wrong way.
std::uint64_t Since(std::uint64_t later, std::uint64_t earlier) {
  return later > earlier ? later - earlier : 0;
}

constexpr struct {
  double q;
  const char* name;
} kQuantiles[] = {{0.5, "p50"}, {0.9, "p90"}, {0.99, "p99"}, {0.999, "p99.9"}};

void WriteText(std::ostream& out, const metrics& values) {
  const auto name = [&](const char* text) -> std::ostream& {
    return out << std::left << std::setw(24) << text << std::right;
  };
  for (const CounterField& row : kCounterFields) {
    name(row.name) << std::setw(14) << values.*row.field << '\n';
  }
  for (const LatencyField& row : kLatencyFields) {
    const latency_distribution& d = values.*row.field;
    name(row.name) << std::setw(14) << d.count();
    if (!d.empty()) {
      const auto us = [&](const char* label, std::chrono::nanoseconds t) {
        out << "  " << label << ' ' << std::setprecision(3) << std::fixed
            << static_cast<double>(t.count()) / 1e3;
      };
      us("mean", d.mean());
      for (const auto& quantile : kQuantiles) us(quantile.name, d.quantile(quantile.q));
      us("max", d.max());
      out << " us";
    }
    out << '\n';
  }
  trace::WriteDeferralSitesText(out, values.deferral_sites);
}

void WriteJson(std::ostream& out, const metrics& values) {
  out << '{';
  for (const CounterField& row : kCounterFields) {
    out << (&row == kCounterFields ? "" : ", ") << '"' << row.name << "\": " << values.*row.field;
  }
  for (const LatencyField& row : kLatencyFields) {
    const latency_distribution& d = values.*row.field;
    out << ", \"" << row.name << "\": {\"count\": " << d.count()
        << ", \"mean\": " << d.mean().count();
    for (const auto& quantile : kQuantiles) {
      out << ", \"" << quantile.name << "\": " << d.quantile(quantile.q).count();
    }
    out << ", \"max\": " << d.max().count() << '}';
  }
  out << ", ";
  trace::WriteDeferralSitesJson(out, values.deferral_sites);
  out << "}\n";
}

// Restores what the writers change on a caller's stream.
class FormatGuard {
 public:
  explicit FormatGuard(std::ostream& out) : out_(out), saved_(nullptr) {
    saved_.copyfmt(out);
    std::ios plain(nullptr);
    plain.imbue(std::locale::classic());  // no thousands separators in JSON
    out.copyfmt(plain);
  }
  ~FormatGuard() { out_.copyfmt(saved_); }
  FormatGuard(const FormatGuard&) = delete;
  FormatGuard& operator=(const FormatGuard&) = delete;

 private:
  std::ostream& out_;
  std::ios saved_;
};

}  // namespace

latency_distribution::duration latency_distribution::mean() const noexcept {
  return duration(count_ == 0 ? 0 : sum_ns_ / count_);
}

latency_distribution::duration latency_distribution::max() const noexcept {
  return duration(max_ns_);
}

latency_distribution::duration latency_distribution::quantile(double q) const {
  if (!(q >= 0.0 && q <= 1.0)) {
    throw std::invalid_argument("urge::latency_distribution::quantile: q must be from 0 to 1");
  }
  return duration(metrics_access::ToSnapshot(*this).QuantileNs(q));
}

latency_distribution::bucket latency_distribution::bucket_at(std::size_t index) const {
  using Buckets = trace::HistogramBuckets;
  const std::uint64_t lower = Buckets::LowerBound(index);
  return {duration(lower), duration(lower + Buckets::Width(index)), buckets_[index]};
}

latency_distribution& latency_distribution::operator-=(const latency_distribution& earlier) {
  if (earlier.buckets_.empty()) return *this;
  if (buckets_.empty()) return *this;
  count_ = 0;
  std::size_t highest = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    buckets_[i] = Since(buckets_[i], earlier.buckets_[i]);
    count_ += buckets_[i];
    if (buckets_[i] != 0) highest = i;
  }
  sum_ns_ = count_ == 0 ? 0 : Since(sum_ns_, earlier.sum_ns_);
  // The new maximum is the old one if that was set since; else it lies in the highest bucket.
  using Buckets = trace::HistogramBuckets;
  if (count_ == 0) {
    max_ns_ = 0;
  } else if (max_ns_ == earlier.max_ns_) {
    max_ns_ = std::min(max_ns_, Buckets::LowerBound(highest) + Buckets::Width(highest) - 1);
  }
  return *this;
}

std::uint64_t metrics::deferred() const noexcept {
  std::uint64_t sum = 0;
  for (const CounterField& row : kCounterFields) {
    if (IsDeferral(row.counter)) sum += this->*row.field;
  }
  return sum;
}

metrics& metrics::operator-=(const metrics& earlier) {
  for (const CounterField& row : kCounterFields) {
    this->*row.field = Since(this->*row.field, earlier.*row.field);
  }
  for (const LatencyField& row : kLatencyFields) this->*row.field -= earlier.*row.field;
  trace::SubtractDeferralSites(deferral_sites, earlier.deferral_sites);
  return *this;
}

metrics read_metrics() {
  metrics values;
  for (const CounterField& row : kCounterFields) values.*row.field = trace::SumOf(row.counter);
  for (const LatencyField& row : kLatencyFields) {
    trace::HistogramSnapshot sum;
    trace::SumOf(row.latency, sum);
    values.*row.field = metrics_access::FromSnapshot(sum);
  }
  values.deferral_sites = trace::ReadDeferralSites();
  return values;
}

void write_metrics(std::ostream& out, const metrics& values, metrics_format format) {
  FormatGuard guard(out);
  switch (format) {
    case metrics_format::text:
      return WriteText(out, values);
    case metrics_format::json:
      return WriteJson(out, values);
    case metrics_format::openmetrics:
      return trace::WriteOpenMetrics(out, values);
  }
  throw std::invalid_argument("urge::write_metrics: no such metrics_format");
}

void write_metrics(std::ostream& out, metrics_format format) {
  write_metrics(out, read_metrics(), format);
}

void trace::ForEachMetric(
    const metrics& values,
    const std::function<void(std::string_view name, std::uint64_t total)>& counter,
    const std::function<void(std::string_view name, const HistogramSnapshot&)>& distribution) {
  for (const CounterField& row : kCounterFields) counter(row.name, values.*row.field);
  for (const LatencyField& row : kLatencyFields) {
    distribution(row.name, metrics_access::ToSnapshot(values.*row.field));
  }
}

}  // namespace urge

// What the runtime has done so far: counts, and distributions of latencies.

#ifndef URGE_METRICS_H_
#define URGE_METRICS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include <urge/detail/export.h>

namespace urge {

// How a latency was distributed, within 1.6 % of each value.
class latency_distribution {
 public:
  using duration = std::chrono::nanoseconds;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  // The following are zero when empty.
  [[nodiscard]] URGE_API duration mean() const noexcept;
  [[nodiscard]] URGE_API duration max() const noexcept;
  // What a share q of the values doesn't exceed. Errors: std::invalid_argument unless 0 <= q <= 1.
  [[nodiscard]] URGE_API duration quantile(double q) const;

  // Calls f(lower, upper, count) for each bucket with values in it, in rising order: lower is its
  // smallest value, upper the next bucket's. The last bucket, from 2^40 ns on, has no bound above.
  template <class F>
  void for_each_bucket(F&& f) const {
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      if (buckets_[i] == 0) continue;
      const bucket b = bucket_at(i);
      f(b.lower, b.upper, b.count);
    }
  }

  // What was recorded since `earlier`, an older reading of the same distribution. The maximum is
  // then known to 3 % only.
  URGE_API latency_distribution& operator-=(const latency_distribution& earlier);

 private:
  friend struct metrics_access;

  struct bucket {
    duration lower, upper;
    std::uint64_t count;
  };
  URGE_API bucket bucket_at(std::size_t index) const;

  std::vector<std::uint64_t> buckets_;  // empty, or one per bucket of the runtime's histograms
  std::uint64_t count_ = 0;
  std::uint64_t sum_ns_ = 0;
  std::uint64_t max_ns_ = 0;
};

// Where preemption was put off.
struct deferral_site {
  std::string cause;   // "opaque", "callback", "no_preempt", …: as the counters deferred_*
  std::string module;  // file name; empty if unknown
  std::string
      symbol;  // the function; for "callback" and "unwalkable" the one below that is to blame
  std::uint64_t count = 0;
};

// Totals since the process began. Each figure only grows; figures read together need not be of the
// same instant.
struct metrics {
  // Scheduling.
  std::uint64_t spawns = 0;
  std::uint64_t exits = 0;
  std::uint64_t yields = 0;
  std::uint64_t parks = 0;    // goroutines that began to wait
  std::uint64_t readies = 0;  // and that were woken
  std::uint64_t steals = 0;
  std::uint64_t stolen_goroutines = 0;
  std::uint64_t handoffs = 0;         // processors handed to another thread
  std::uint64_t syscall_retakes = 0;  // of these, taken from a thread in a system call
  std::uint64_t spare_procs = 0;  // processors added because one was stuck with a blocked thread
  std::uint64_t timers_fired = 0;
  std::uint64_t threads_started = 0;
  std::uint64_t sysmon_wakeups = 0;

  // Preemption: why goroutines were asked to stop,
  std::uint64_t requests_slice = 0;   // time slice used up
  std::uint64_t requests_wakeup = 0;  // somebody woke and found no idle processor
  std::uint64_t requests_stop = 0;    // stop-the-world, stack dumps
  // how they were asked,
  std::uint64_t marks = 0;          // marks in the guard word
  std::uint64_t signals_sent = 0;   // by another thread
  std::uint64_t timer_signals = 0;  // by a timer armed for the end of the slice
  // how they answered,
  std::uint64_t acks_prologue = 0;
  std::uint64_t acks_signal = 0;
  std::uint64_t acks_voluntary = 0;  // switched off by themselves first
  std::uint64_t superseded = 0;      // a stronger request took the place of a pending one
  std::uint64_t wired_by_frame = 0;  // of those answered: the code is bound to its thread
  // and why a request was put off (it is repeated until it is answered).
  std::uint64_t deferred_runtime = 0;        // in the runtime's code
  std::uint64_t deferred_runtime_lock = 0;   // in what it called, maybe under a lock of its own
  std::uint64_t deferred_opaque = 0;         // in a library that was not allowed
  std::uint64_t deferred_denied = 0;         // in a denied function
  std::uint64_t deferred_no_preempt = 0;     // under urge::no_preempt
  std::uint64_t deferred_no_room = 0;        // too little stack left
  std::uint64_t deferred_foreign_stack = 0;  // on a stack that isn't the goroutine's
  std::uint64_t deferred_signal_mask = 0;    // with signals blocked
  std::uint64_t deferred_callback = 0;       // a foreign frame below may hold a lock
  std::uint64_t deferred_unwalkable = 0;     // a frame below can't be walked past
  std::uint64_t deferred_threads = 0;        // thread-bound, and too many have a thread already
  std::uint64_t deferred_not_wanted = 0;     // the signal came after the answer

  // The same by function, most frequent first. At most about a thousand functions are told apart.
  std::vector<deferral_site> deferral_sites;

  latency_distribution slice_length;    // run time of goroutines that were preempted
  latency_distribution timer_lateness;  // deadline to callback
  latency_distribution ack_prologue;    // request until the goroutine's own code stopped
  latency_distribution ack_signal;
  // Woken to running, of those woken by timers or by threads that run no goroutines: where
  // goroutines wake each other the clock isn't read.
  latency_distribution wakeup_to_run;
  // From when a slice's timer ran out, at the end of the slice, to its signal's handler, which
  // makes the request: the kernel's part of preempt_detected.
  latency_distribution slice_timer_delivery;

  // The stages of each preemption, in order: each is the time from the event before to the one that
  // it is named after, and a stage that was not passed through (no signal, say) is left out. The
  // first begins when the slice is over, or when somebody wakes for whom the goroutine may be
  // stopped.
  latency_distribution preempt_detected;      // noticed, by sysmon or the slice timer
  latency_distribution preempt_marked;        // the guard word poisoned
  latency_distribution preempt_signalled;     // the first signal sent
  latency_distribution preempt_handled;       // its handler entered
  latency_distribution preempt_accepted;      // the goroutine's own code stopped
  latency_distribution preempt_switched_off;  // on g0, its frames walked
  latency_distribution preempt_requeued;      // queued
  latency_distribution preempt_next_running;  // the processor runs a goroutine again
  latency_distribution preempt_deferred;      // of preempt_accepted, the part since it was put off
  latency_distribution preempt_total;  // from the beginning of the first to the end of the last

  [[nodiscard]] std::uint64_t requests() const noexcept {
    return requests_slice + requests_wakeup + requests_stop;
  }
  [[nodiscard]] URGE_API std::uint64_t deferred() const noexcept;

  // What happened since `earlier`.
  URGE_API metrics& operator-=(const metrics& earlier);
  friend metrics operator-(metrics later, const metrics& earlier) { return later -= earlier; }
};

// Callable from any thread, before the runtime is started too.
[[nodiscard]] URGE_API metrics read_metrics();

enum class metrics_format {
  text,  // one aligned line per figure, for people
  json,  // one object: a number per counter, an object per distribution, times in nanoseconds
  openmetrics,  // OpenMetrics 1.0 text: counters urge_…_total, histograms urge_…_seconds
};
// Errors: std::invalid_argument if there is no such format.
URGE_API void write_metrics(std::ostream& out, const metrics& values,
                            metrics_format format = metrics_format::text);
// Of now.
URGE_API void write_metrics(std::ostream& out, metrics_format format = metrics_format::text);

// Answers questions about this process at a Unix socket, from now on, to processes of the same user
// only: what `urge-top PID` shows, these figures as JSON, and OpenMetrics text, over HTTP as well.
// `address` is a path, or '@' and a name in the abstract namespace; by default it is
// "@urge-metrics-PID", where urge-top looks. Returns the address, which is the former one if the
// process serves already. URGE_METRICS in the environment does the same.
// Errors: std::invalid_argument, std::system_error.
URGE_API std::string serve_metrics(std::string_view address = {});

}  // namespace urge

#endif  // URGE_METRICS_H_

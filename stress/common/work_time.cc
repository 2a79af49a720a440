#include "stress/common/work_time.h"

#include <time.h>

#include <algorithm>
#include <thread>

namespace stress {
namespace {

constexpr std::chrono::seconds kPatience{2};

double ProcessCpuNs() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// Half of what so many threads can use.
double EnoughNs(std::chrono::nanoseconds wanted, int procs) {
  const int cpus = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return static_cast<double>(wanted.count()) * std::min(procs, cpus) / 2;
}

}  // namespace

WorkTime::WorkTime(std::chrono::nanoseconds wanted, int procs)
    : least_(Clock::now() + wanted),
      most_(least_ + kPatience),
      enough_ns_(EnoughNs(wanted, procs)),
      before_ns_(ProcessCpuNs()) {}

double WorkTime::CpuNs() const { return ProcessCpuNs() - before_ns_; }

bool WorkTime::Over() const {
  const auto now = Clock::now();
  return now >= most_ || (now >= least_ && CpuNs() >= enough_ns_);
}

}  // namespace stress

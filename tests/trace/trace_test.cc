// <urge/trace.h> from inside: what is recorded, and that the file is in order.
//
// Under ThreadSanitizer goroutines aren't stopped by signals.
// skip: tsan

#include <gtest/gtest.h>
#include <urge/urge.h>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "tests/testing/procs.h"
#include "tests/trace/trace_file.h"

namespace urge::testing {

void TracedEntryFunction(std::atomic<int>* runs) {
  urge::yield();
  ++*runs;
}

namespace {

using namespace std::chrono_literals;

// A path of its own, gone with the object.
class TemporaryFile {
 public:
  TemporaryFile() {
    static std::atomic<int> count{0};
    path_ = ::testing::TempDir() + "/urge_trace_" + std::to_string(getpid()) + "_" +
            std::to_string(++count) + ".json";
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Goroutines that compute until they are told to stop; more than there are processors.
class Hogs {
 public:
  explicit Hogs(int count) {
    for (int i = 0; i < count; ++i) {
      all_.go([this] {
        while (!stop_.load(std::memory_order_relaxed)) {
        }
      });
    }
  }
  void Stop() {
    stop_ = true;
    all_.wait();
  }

 private:
  std::atomic<bool> stop_{false};
  urge::wait_group all_;
};

void PingPong(int rounds) {
  urge::chan<int> there, back;
  urge::go({.name = "pong"}, [=]() mutable {
    for (const int n : there) back.send(n);
    back.close();
  });
  for (int i = 0; i < rounds; ++i) {
    there.send(i);
    (void)back.recv();
  }
  there.close();
  (void)back.recv();
}

class TraceAtProcs : public ProcsTest {};

TEST_P(TraceAtProcs, NamedGoroutinesAreSlicesAndWakeUpsAreFlows) {
  TemporaryFile file;
  urge::trace_start(file.path());
  std::atomic<int> runs{0};
  urge::run([&] {
    PingPong(50);
    urge::go(TracedEntryFunction, &runs);
    Await([&] { return runs == 1; });
  });
  urge::trace_stop();
  const TraceFile trace(file.path());
  // "pong" waits for each of the 50 rounds and for the end.
  EXPECT_GE(trace.RunsOf("pong").size(), 51u);
  EXPECT_GE(trace.RunsOf("pong", "threads").size(), 1u);
  EXPECT_GE(trace.RunsOf("urge::testing::TracedEntryFunction").size(), 1u);
  EXPECT_GE(trace.CountInstants("block: chan "), 51u);
  EXPECT_GE(trace.CountInstants("unblock pong"), 50u);
  EXPECT_GE(trace.CountInstants("create pong"), 1u);
  // Each of its runs begins with an arrow from who readied it.
  std::size_t arrows = 0;
  for (const TraceFile::Slice& run : trace.RunsOf("pong")) {
    for (const TraceFile::Flow& flow : trace.flows()) {
      arrows += flow.to == run.track && flow.end == run.begin;
    }
  }
  EXPECT_GE(arrows, 51u);
  EXPECT_GE(trace.CountCounters("goroutines"), 1u);
  EXPECT_GE(trace.CountCounters("runnable"), 1u);
  EXPECT_EQ(trace.Other("events_lost"), "0");
}

TEST_P(TraceAtProcs, PreemptionsShowTheirStages) {
  TemporaryFile file;
  urge::trace_start(file.path());
  const urge::metrics before = urge::read_metrics();
  urge::run([&] {
    Hogs hogs(2 * GetParam());
    Await([&] { return urge::read_metrics().acks_signal >= before.acks_signal + 5; });
    hogs.Stop();
  });
  urge::trace_stop();
  const TraceFile trace(file.path());
  EXPECT_GE(trace.CountInstants("ask to stop "), 5u);
  EXPECT_GE(trace.CountInstants("mark ") + trace.CountInstants("timer's signal meets "), 5u);
  EXPECT_GE(trace.CountInstants("signal meets ") + trace.CountInstants("timer's signal meets "),
            5u);
  EXPECT_GE(trace.CountInstants("stopped by signal "), 5u);
  EXPECT_GE(trace.CountInstants("requeue "), 5u);
  std::size_t complete = 0;
  for (const TraceFile::Instant& instant : trace.instants()) {
    if (!instant.name.starts_with("preempted ")) continue;
    const auto& args = (*instant.event)["args"].object();
    double sum = 0;
    for (const char* stage : {"detected_us", "marked_us", "signalled_us", "handled_us",
                              "accepted_us", "switched_off_us", "requeued_us", "next_running_us"}) {
      if (args.contains(stage)) sum += args.at(stage).number();
    }
    EXPECT_NEAR(sum, args.at("total_us").number(), 0.02) << "the stages add up";
    EXPECT_TRUE(args.contains("accepted_us"));
    EXPECT_TRUE(args.contains("next_running_us"));
    ++complete;
  }
  EXPECT_GE(complete, 3u);
}

TEST_P(TraceAtProcs, EveryKindOfEventAppearsWhenProvoked) {
  TemporaryFile file;
  urge::trace_start(file.path());
  const urge::metrics before = urge::read_metrics();
  const auto since = [&] { return urge::read_metrics() - before; };
  urge::run([&] {
    // Blocking calls give their processor away, and find none when they come back.
    Hogs hogs(GetParam() + 1);
    for (int i = 0; i < 3; ++i) urge::blocking([] { usleep(2'000); });
    // A request that has to wait for the end of a no_preempt: nobody yields in there.
    {
      const urge::no_preempt guard;
      while (since().deferred_no_preempt == 0) {
      }
    }
    // A prologue's answer.
    while (since().acks_prologue == 0) urge::checkpoint();
    hogs.Stop();
    // Timers, with processors that go idle and threads that park; and one that ends.
    urge::go([] { urge::lock_os_thread(); });
    for (int i = 0; i < 5; ++i) urge::sleep_for(1ms);
    urge::set_procs(urge::procs());
    // Those that yield to others, and thieves.
    for (int round = 0; round == 0 || (GetParam() > 1 && since().steals == 0); ++round) {
      urge::wait_group all;
      for (int i = 0; i < 100; ++i) {
        all.go([] {
          for (int n = 0; n < 10; ++n) urge::yield();
        });
      }
      all.wait();
    }
  });
  // From a plain thread.
  std::thread([] { urge::run([] {}); }).join();
  urge::trace_stop();
  const TraceFile trace(file.path());
  for (const char* name :
       {"create ", "unblock ", "yield", "block: sleep", "end", "ask to stop ", "deferred ",
        "stopped by prologue ", "requeue ", "retaken from a system call", "timer", "P starts",
        "P stops", "P is handed on", "all have stopped", "thread ends"}) {
    EXPECT_GE(trace.CountInstants(name), 1u) << name;
  }
  for (const char* name : {"blocking call", "awake", "parked", "stop the world", "create"}) {
    EXPECT_GE(trace.CountSlices(name), 1u) << name;
  }
  if (GetParam() > 1) {
    EXPECT_GE(trace.CountInstants("steal"), 1u);
  }
}

TEST_P(TraceAtProcs, ProcessorsMayComeAndGoMeanwhile) {
  TemporaryFile file;
  urge::trace_start(file.path());
  urge::run([&] {
    Hogs hogs(4);
    for (const int n : {1, 4, 2, 8, 3, 1, GetParam()}) {
      urge::set_procs(n);
      PingPong(20);
      urge::sleep_for(1ms);
    }
    hogs.Stop();
  });
  urge::trace_stop();
  const TraceFile trace(file.path());
  EXPECT_GE(trace.CountTracks("processors"), 2u);
  EXPECT_GE(trace.CountSlices("stop the world"), 6u);
}

TEST_P(TraceAtProcs, ASnapshotLeavesTheRecorderRunning) {
  TemporaryFile first, second;
  urge::flight_recorder_start();
  urge::run([] { PingPong(10); });
  urge::trace_snapshot(first.path());
  urge::run([] {
    urge::wait_group later;
    later.add(1);
    urge::go({.name = "later"}, [&] { later.done(); });
    PingPong(10);
    later.wait();
  });
  urge::trace_snapshot(second.path());
  urge::flight_recorder_stop();
  const TraceFile before(first.path()), after(second.path());
  EXPECT_GE(before.RunsOf("pong").size(), 11u);
  EXPECT_EQ(before.RunsOf("later").size(), 0u);
  EXPECT_GE(after.RunsOf("pong").size(), 22u) << "and the first one's, too";
  EXPECT_GE(after.RunsOf("later").size(), 1u);
}

// Snapshots, a trace and everything else at once: whatever is caught is in order.
TEST_P(TraceAtProcs, SnapshotsAmidAStormAreInOrder) {
  TemporaryFile whole, caught[3];
  urge::flight_recorder_start();
  urge::trace_start(whole.path());
  urge::run([&] {
    Hogs hogs(GetParam() + 2);
    std::atomic<bool> stop{false};
    urge::wait_group all;
    for (int i = 0; i < 3; ++i) {
      all.go([&] {
        while (!stop) {
          PingPong(20);
          urge::sleep_for(1ms);
        }
      });
    }
    for (TemporaryFile& file : caught) {
      urge::sleep_for(5ms);
      urge::trace_snapshot(file.path());
    }
    stop = true;
    all.wait();
    hogs.Stop();
  });
  urge::trace_stop();
  urge::flight_recorder_stop();
  const TraceFile trace(whole.path());
  EXPECT_GE(trace.RunsOf("pong").size(), 1u);
  for (const TemporaryFile& file : caught) {
    const TraceFile snapshot(file.path());
    EXPECT_GE(snapshot.slices().size(), 1u);
  }
}

URGE_TEST_AT_PROCS(TraceAtProcs);

TEST(Trace, NamesAreEscaped) {
  TemporaryFile file;
  urge::trace_start(file.path());
  urge::run([] {
    urge::chan<int> done(0);
    urge::go({.name = "a \"b\"\\\n\x01"}, [=]() mutable { done.send(1); });
    (void)done.recv();
    urge::go({.name = "\xc3\xa4 \xff\xc3"}, [=]() mutable { done.send(1); });
    (void)done.recv();
  });
  urge::trace_stop();
  const TraceFile trace(file.path());
  EXPECT_GE(trace.RunsOf("a \"b\"\\\n\x01").size(), 1u);
  EXPECT_GE(trace.CountSlices("\xc3\xa4 \xef\xbf\xbd\xef\xbf\xbd"), 1u)
      << "what isn't UTF-8 is replaced";
}

TEST(Trace, TheSecondTraceHoldsOnlyItsOwn) {
  TemporaryFile first, second;
  urge::trace_start(first.path());
  urge::run([] { urge::async([] {}).get(); });
  urge::run([] { PingPong(3); });
  urge::trace_stop();
  urge::run([] { PingPong(3); });  // off: nowhere
  urge::trace_start(second.path());
  urge::run([] { urge::async([] {}).get(); });
  urge::trace_stop();
  const TraceFile one(first.path()), two(second.path());
  EXPECT_GE(one.RunsOf("pong").size(), 1u);
  EXPECT_EQ(two.RunsOf("pong").size(), 0u);
}

TEST(Trace, MisuseIsAClearError) {
  const auto message = [](auto call) -> std::string {
    try {
      call();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "no error";
  };
  TemporaryFile file;
  EXPECT_THROW(urge::trace_stop(), std::logic_error);
  EXPECT_THROW(urge::trace_snapshot(file.path()), std::logic_error);
  EXPECT_FALSE(std::filesystem::exists(file.path()));
  EXPECT_THROW(urge::trace_start(""), std::invalid_argument);
  EXPECT_THROW(urge::trace_start("/no/such/folder/x.json"), std::system_error);
  EXPECT_NE(message([] { urge::trace_start("/no/such/folder/x.json"); }).find("/no/such/folder"),
            std::string::npos);
  urge::trace_start(file.path());
  EXPECT_THROW(urge::trace_start(file.path()), std::logic_error);
  EXPECT_NE(message([&] { urge::trace_start("other"); }).find(file.path()), std::string::npos)
      << "says which trace is in the way";
  EXPECT_FALSE(std::filesystem::exists("other"));
  EXPECT_THROW(urge::trace_snapshot("/no/such/folder/x.json"), std::system_error);
  urge::trace_stop();
  EXPECT_THROW(urge::trace_stop(), std::logic_error);
  const TraceFile trace(file.path());
}

TEST(Trace, CanBeStartedAndStoppedByGoroutines) {
  TemporaryFile file;
  urge::run([&] {
    urge::trace_start(file.path());
    PingPong(5);
    urge::trace_stop();
  });
  const TraceFile trace(file.path());
  EXPECT_GE(trace.RunsOf("pong").size(), 6u);
}

TEST(Trace, AFullDiskIsReported) {
  // A file that can be opened and not written.
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  urge::trace_start("/dev/full");
  urge::run([] { PingPong(5); });
  EXPECT_THROW(urge::trace_stop(), std::system_error);
  TemporaryFile file;
  urge::trace_start(file.path());  // and another can be started
  urge::trace_stop();
}

}  // namespace
}  // namespace urge::testing

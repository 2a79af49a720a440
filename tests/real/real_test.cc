// Real libraries on goroutines, preempted every 100 us: what they compute is, bit for bit, what
// they compute on a plain thread; and endless scripts share a processor.
//
// link: -lz -llzma -lgmp -llua5.4 -lsqlite3
//
// Without asynchronous preemption nothing here is preempted.
// skip: tsan

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <string>

#include <urge/urge.h>

#include "tests/real/libraries.h"
#include "tests/testing/procs.h"

namespace {

using namespace std::chrono_literals;
using urge::real::EndlessScript;
using urge::real::Libraries;
using urge::real::Library;

// Before all tests.
class Allowed : public ::testing::Environment {
  void SetUp() override {
    urge::start({.slice = 100us});
    for (const Library& library : Libraries()) {
      EXPECT_TRUE(urge::allow_preemption(library.module)) << library.module;
    }
  }
};
const auto* const allowed = ::testing::AddGlobalTestEnvironment(new Allowed);

class RealTest : public urge::testing::ProcsTest {};

TEST_P(RealTest, LibrariesComputeTheSameUnderPreemption) {
  constexpr int kRounds = 2;
  struct Job {
    const Library* library;
    std::uint64_t seed;
    std::uint64_t expected;
  };
  std::deque<Job> jobs;
  for (const Library& library : Libraries()) {
    for (int copy = 0; copy < library.copies; ++copy) {
      const auto seed = static_cast<std::uint64_t>(copy + 1);
      jobs.push_back({&library, seed, library.work(seed)});
    }
  }
  const urge::metrics before = urge::read_metrics();
  std::atomic<int> done{0};
  urge::run([&] {
    urge::wait_group group;
    for (const Job& job : jobs) {
      group.go([&] {
        for (int round = 0; round < kRounds; ++round) {
          EXPECT_EQ(job.library->work(job.seed), job.expected) << job.library->name;
          ++done;
        }
      });
    }
    group.wait();
  });
  EXPECT_EQ(done, static_cast<int>(jobs.size()) * kRounds);
  const urge::metrics after = urge::read_metrics() - before;
  EXPECT_GT(after.acks_signal + after.acks_prologue, 10u);
}

URGE_TEST_AT_PROCS(RealTest);

// Each call holds recursive mutexes over preemptions, and the others wait for them.
TEST_P(RealTest, GoroutinesShareASqliteConnection) {
  if (!urge::real::kLocksWork) GTEST_SKIP() << "nobody stands in for pthread's locks here";
  static constexpr int kGoroutines = 6, kRows = 150;
  urge::real::SharedDatabase database;
  std::string expected;
  urge::run([&] {
    urge::wait_group group;
    for (int who = 0; who < kGoroutines; ++who) {
      if (who != 0) expected += ' ';
      expected += std::to_string(who) + ":" + std::to_string(kRows) + ":" +
                  std::to_string(kRows * (kRows - 1) / 2);
      group.go([&database, who] {
        for (int n = 0; n < kRows; ++n) {
          database.Add(who, n);
          if (n % 50 == 0) database.Sums();
        }
      });
    }
    group.wait();
  });
  EXPECT_EQ(database.Sums(), expected);
}

TEST(LuaTest, EndlessScriptsShareAProcessor) {
  urge::set_procs(1);
  constexpr int kScripts = 4;
  std::deque<EndlessScript> scripts(kScripts);
  urge::run([&] {
    urge::wait_group group;
    for (EndlessScript& script : scripts) group.go([&] { script.Run(); });
    // Until all have had some hundred slices.
    const std::uint64_t enough = urge::read_metrics().acks_signal + 400 * kScripts;
    while (urge::read_metrics().acks_signal < enough) urge::sleep_for(1ms);
    for (EndlessScript& script : scripts) script.Stop();
    group.wait();
  });
  double least = scripts[0].count(), most = least;
  for (const EndlessScript& script : scripts) {
    least = std::min(least, script.count());
    most = std::max(most, script.count());
  }
  std::printf("counts from %.0f to %.0f\n", least, most);
  EXPECT_GT(least, 0);
  EXPECT_LT(most, 3 * least);
}

}  // namespace

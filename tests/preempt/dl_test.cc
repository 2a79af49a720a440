// Libraries come and go while goroutines are preempted inside them.
//
// Under ThreadSanitizer signals preempt nobody, and the hogs here call nothing.
// skip: tsan

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <urge/urge.h>

#include <atomic>
#include <filesystem>
#include <string>

#include "runtime/sched/sched.h"
#include "tests/preempt/plugin.h"
#include "tests/testing/procs.h"

namespace {

class DlTest : public urge::testing::ProcsTest {
 protected:
  void SetUp() override {
    ProcsTest::SetUp();
    urge::sched::g_sched.settings.slice_ns = 50'000;
  }
  void TearDown() override { urge::sched::g_sched.settings.slice_ns = 10'000'000; }
};
URGE_TEST_AT_PROCS(DlTest);

TEST_P(DlTest, LibrariesComeAndGoUnderAStorm) {
  const std::filesystem::path plugin = urge::preempt::BuildPlugin();
  ASSERT_FALSE(plugin.empty());
  urge::allow_preemption("preempt_plugin_copy");
  const int copies = GetParam() + 3;  // more than processors
  constexpr int kRounds = 10;
  constexpr std::uint64_t kPreemptions = 1;
  std::atomic<int> wrong{0};
  const urge::metrics before = urge::read_metrics();
  urge::wait_group group;
  const auto preempted = [before] { return (urge::read_metrics() - before).acks_signal; };
  for (int copy = 0; copy < copies; ++copy) {
    const std::filesystem::path own =
        plugin.parent_path() / std::to_string(copy) / "preempt_plugin_copy.so";
    std::filesystem::create_directories(own.parent_path());
    std::filesystem::copy_file(plugin, own, std::filesystem::copy_options::overwrite_existing);
    group.go([&, own] {
      for (int round = 0; round < kRounds || preempted() < kPreemptions; ++round) {
        void* handle = dlopen(own.c_str(), RTLD_LAZY);
        if (handle == nullptr) {
          ++wrong;
          return;
        }
        const auto spin = reinterpret_cast<int (*)(int)>(dlsym(handle, "plugin_spin"));
        const auto lazy = reinterpret_cast<int (*)(int)>(dlsym(handle, "plugin_lazy"));
        for (int i = 0; i < 5; ++i) {
          wrong += spin(500'000) != 500'000;
          wrong += lazy(-i) != i;
        }
        wrong += dlclose(handle) != 0;
      }
    });
  }
  group.wait();
  EXPECT_EQ(wrong, 0);
}

}  // namespace

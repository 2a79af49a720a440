// System calls as the scheduler sees them: sysmon takes the P of one that lasts.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include <urge/urge.h>

#include "runtime/sched/sched.h"

namespace urge {
namespace {

TEST(SyscallTest, ALongCallLosesItsProcessorToWhoWaits) {
  const int before = set_procs(1);
  const auto retakes = [] { return read_metrics().syscall_retakes; };
  const auto retakes_before = retakes();
  run([] {
    std::atomic<bool> ran{false};
    go([&ran] { ran = true; });
    sched::EnterSyscall();
    // Without a P: only if sysmon takes ours can the other one run.
    while (!ran) usleep(100);
    sched::ExitSyscall();
  });
  EXPECT_GT(retakes(), retakes_before);
  set_procs(before);
}

TEST(SyscallTest, AGoroutineComesBackToItsThread) {
  run([] {
    for (int i = 0; i < 200; ++i) {
      const pid_t thread = gettid();
      go([] {});
      sched::EnterSyscall();
      if (i % 8 == 0) usleep(200);
      sched::ExitSyscall();
      ASSERT_EQ(gettid(), thread);
    }
  });
}

TEST(SyscallTest, AVforkChildMayExit) {
  run([] {
    int status = 0;
    const pid_t child = vfork();
    if (child == 0) _exit(7);
    ASSERT_GT(child, 0);
    blocking([&] { ASSERT_EQ(waitpid(child, &status, 0), child); });
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
  });
}

}  // namespace
}  // namespace urge

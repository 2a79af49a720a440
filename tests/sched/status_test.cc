// The states of a goroutine: which moves are legal, and that each state has a name.

#include "runtime/sched/status.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

namespace {

using namespace urge::sched;

bool IsLegal(GStatus from, GStatus to) {
  return ((LegalTargets(from) >> static_cast<unsigned>(to)) & 1) != 0;
}

TEST(StatusTest, ExactlyTheDocumentedMovesAreLegal) {
  using S = GStatus;
  const std::set<std::pair<S, S>> legal = {
      {S::kIdle, S::kDead},        {S::kDead, S::kRunnable},      {S::kRunnable, S::kRunning},
      {S::kRunning, S::kRunnable}, {S::kRunning, S::kWaiting},    {S::kRunning, S::kSyscall},
      {S::kRunning, S::kDead},     {S::kRunning, S::kPreempted},  {S::kSyscall, S::kRunning},
      {S::kSyscall, S::kRunnable}, {S::kSyscall, S::kRunnable},   {S::kSyscall, S::kWaiting},
      {S::kWaiting, S::kRunnable}, {S::kPreempted, S::kRunnable},
  };
  for (int from = 0; from < kGStatusCount; ++from) {
    for (int to = 0; to < kGStatusCount; ++to) {
      const auto f = static_cast<S>(from), t = static_cast<S>(to);
      EXPECT_EQ(IsLegal(f, t), legal.count({f, t}) == 1) << Name(f) << " to " << Name(t);
    }
  }
}

TEST(StatusTest, EachStateHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int s = 0; s < kGStatusCount; ++s) names.insert(Name(static_cast<GStatus>(s)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kGStatusCount));
  EXPECT_EQ(names.count("?"), 0u);
}

TEST(StatusTest, EachWaitReasonHasAName) {
  for (int r = 0; r <= static_cast<int>(WaitReason::kStopped); ++r) {
    EXPECT_STRNE(Name(static_cast<WaitReason>(r)), "?") << r;
  }
}

}  // namespace

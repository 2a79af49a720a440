// dump_goroutines: states, names, labels, origins.
// Without injected preemptions, as under TSan, there is less to show.
// skip: tsan

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/program.h"

namespace urge::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// The goroutine of that name in a dump: its header and what follows, up to the blank line.
std::string Goroutine(const std::string& dump, const std::string& name) {
  const std::size_t at = dump.find("\"" + name + "\"");
  if (at == std::string::npos) return {};
  const std::size_t start = dump.rfind("goroutine ", at);
  return dump.substr(start, dump.find("\n\n", at) - start);
}

std::string Dump(std::vector<std::string> environment, std::vector<std::string> args = {}) {
  const ProgramResult result =
      RunProgram("dump", {.args = std::move(args), .environment = std::move(environment)});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  return result.out;
}

class DumpAtProcs : public testing::TestWithParam<int> {};

TEST_P(DumpAtProcs, ShowsStatesNamesLabelsAndOrigins) {
  const std::string dump = Dump({"URGE_MAXPROCS=" + std::to_string(GetParam())});
  SCOPED_TRACE(dump);
  EXPECT_THAT(dump, ContainsRegex("^goroutine [0-9]+ \\[running\\]:\n"));
  EXPECT_THAT(dump, HasSubstr("\nDump()\n"));
  EXPECT_THAT(Goroutine(dump, "receiver"), ContainsRegex("\\[chan receive\\] \"receiver\":\n"));
  EXPECT_THAT(Goroutine(dump, "receiver"), HasSubstr("\nReceive()\n"));
  EXPECT_THAT(Goroutine(dump, "receiver"), ContainsRegex("\ncreated by main.* in goroutine "));
  EXPECT_THAT(Goroutine(dump, "locker"), HasSubstr("[sync.mutex lock]"));
  EXPECT_THAT(Goroutine(dump, "locker"), HasSubstr("\nurge::mutex::"));
  EXPECT_THAT(Goroutine(dump, "sleeper"), HasSubstr("[sleep]"));
  EXPECT_THAT(Goroutine(dump, "child"),
              HasSubstr("[chan receive] \"child\" {request: 17, who: a \\\"b\\\"\\x0a}:\n"));
  EXPECT_THAT(Goroutine(dump, "child"), HasSubstr("created by StartChild in goroutine "));
  EXPECT_THAT(Goroutine(dump, "grandchild"), HasSubstr("{request: 17"));
  EXPECT_THAT(Goroutine(dump, "grandchild"), HasSubstr("created by Child in goroutine "));
  // Preempted by a signal: the walk passes the injected call.
  EXPECT_THAT(Goroutine(dump, "spinner"), HasSubstr("\nSpin()\n"));
  // Nothing of the runtime's own.
  EXPECT_THAT(dump, Not(ContainsRegex("urge::sched|urge_|\\?\n|traceback ends")));
}

TEST_P(DumpAtProcs, NamesFilesAndLines) {
  const std::string dump = Dump({"URGE_MAXPROCS=" + std::to_string(GetParam())});
  EXPECT_THAT(Goroutine(dump, "receiver"),
              ContainsRegex("\nReceive\\(\\)\n\t[^\n]*/dump\\.cc:[0-9]+ \\+0x[0-9a-f]+\n"));
  EXPECT_THAT(Goroutine(dump, "receiver"),
              ContainsRegex("\ncreated by main.* in goroutine 1\n\t[^\n]*/dump\\.cc:[0-9]+"));
}

// All of them are named, up to a hundred with a line for each, and their traceback is there once.
TEST_P(DumpAtProcs, GroupsThoseThatAreAlike) {
  const std::string dump = Dump({"URGE_MAXPROCS=" + std::to_string(GetParam())});
  SCOPED_TRACE(dump);
  EXPECT_THAT(dump, HasSubstr("\n(anonymous namespace)::WaitFor(...)\n")) << "inlined";
  const std::size_t at = dump.find("\nTwin()\n");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(dump.find("\nTwin()\n", at + 1), std::string::npos);
  const std::size_t begin = dump.rfind("\n\n", at);
  const std::string group = dump.substr(begin, at - begin);
  int headers = 0;
  for (std::size_t i = 0; (i = group.find("[chan receive]:\n", i)) != group.npos; ++i) ++headers;
  EXPECT_EQ(headers, 100);
  EXPECT_THAT(group, ContainsRegex("\n\\.\\.\\. and 20 more like these: goroutines [0-9]+-[0-9]+"));
}

INSTANTIATE_TEST_SUITE_P(Procs, DumpAtProcs, testing::Values(1, 2, 8));

TEST(Dump, ShowsWhereThoseAreThatCanNotBeStopped) {
  const std::string dump = Dump({"URGE_MAXPROCS=2"}, {"running"});
  SCOPED_TRACE(dump);
  EXPECT_THAT(Goroutine(dump, "stubborn"),
              ContainsRegex("\\[running\\] \"stubborn\":\nStayPut\\(\\)\n"));
  EXPECT_THAT(Goroutine(dump, "reader"), HasSubstr("[syscall] \"reader\":\n"));
  EXPECT_THAT(Goroutine(dump, "reader"), HasSubstr("\nReadFrom()\n"));
  EXPECT_THAT(Goroutine(dump, "reader"), HasSubstr("\ncreated by main"));
}

TEST(Dump, ShowsRuntimeFramesAtLevelSystem) {
  const std::string dump = Dump({"URGE_TRACEBACK=system"});
  EXPECT_THAT(Goroutine(dump, "receiver"), HasSubstr("urge::sched::Park"));
  EXPECT_THAT(Goroutine(dump, "receiver"), HasSubstr("\nurge_goexit\n"));
  EXPECT_THAT(Goroutine(dump, "spinner"), HasSubstr("urge_async_preempt\n"));
}

TEST(Dump, ShowsAncestorsWhenTheyAreRecorded) {
  const std::string dump = Dump({"URGE_DEBUG=tracebackancestors=5"});
  const std::string grandchild = Goroutine(dump, "grandchild");
  SCOPED_TRACE(dump);
  EXPECT_THAT(grandchild,
              ContainsRegex("created by Child in goroutine [0-9]+\n.*\n"
                            "\\[originating from goroutine [0-9]+\\]:\n(.*\n)*Child\\(\\)\n(.*\n)*"
                            "created by StartChild\n.*\n"
                            "\\[originating from goroutine [0-9]+\\]:\n(.*\n)*StartChild\\(\\)\n"));
  const std::string bounded = Goroutine(Dump({"URGE_DEBUG=tracebackancestors=1"}), "grandchild");
  EXPECT_EQ(bounded.find("originating"), bounded.rfind("originating"));
  EXPECT_THAT(bounded, HasSubstr("originating"));
  EXPECT_THAT(Dump({}), Not(HasSubstr("originating")));
}

}  // namespace
}  // namespace urge::test

// What a dying process prints, and how it ends.
// The sanitizers have reports of their own for these deaths.
// skip: asan tsan

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "tests/support/program.h"

namespace urge::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

ProgramResult Crash(const std::string& kind, std::vector<std::string> environment = {}) {
  return RunProgram("crash", {.args = {kind}, .environment = std::move(environment)});
}

int Count(const std::string& text, const std::string& what) {
  int n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(UncaughtException, ShowsTheGoroutineThenTerminates) {
  const ProgramResult result = RunProgram("uncaught_exception");
  EXPECT_EQ(result.signal, SIGABRT);
  EXPECT_THAT(result.err, ContainsRegex("goroutine [0-9]+ \\[running\\]:\n"));
  EXPECT_THAT(
      result.err,
      ContainsRegex("ThrowNoSuchLuck\\(\\)\n\t.*/uncaught_exception\\.cc:[0-9]+ \\+0x[0-9a-f]+\n"
                    "Worker\\(\\)\n"));
  EXPECT_THAT(result.err, ContainsRegex("created by StartWorker in goroutine [0-9]+\n"));
  EXPECT_THAT(result.err, HasSubstr("terminate called after throwing an instance of "
                                    "'std::runtime_error'\n  what():  no such luck\n"));
  EXPECT_LT(result.err.find("[running]"), result.err.find("terminate called"));
  EXPECT_EQ(Count(result.err, "[running]"), 1);
  EXPECT_THAT(result.err, Not(HasSubstr("SIGABRT")));
}

TEST(UncaughtException, OfAPlainThreadIsLeftToTheStandardLibrary) {
  const ProgramResult result = RunProgram("uncaught_exception", {.args = {"thread"}});
  EXPECT_EQ(result.signal, SIGABRT);
  EXPECT_THAT(result.err, StartsWith("terminate called after throwing"));
  EXPECT_THAT(result.err, Not(HasSubstr("goroutine")));
}

TEST(UncaughtException, PrintsNoTracebackWhenToldSo) {
  const ProgramResult result =
      RunProgram("uncaught_exception", {.environment = {"URGE_TRACEBACK=none"}});
  EXPECT_EQ(result.signal, SIGABRT);
  EXPECT_THAT(result.err, Not(HasSubstr("goroutine")));
}

void ExpectOverflow(const std::string& program) {
  const ProgramResult result = RunProgram(program);
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, StartsWith("runtime: goroutine stack exceeds 262144-byte limit\n"
                                     "fatal error: stack overflow\n\ngoroutine "));
  EXPECT_THAT(result.err, ContainsRegex("\\[running\\]:\nRunAway\\(\\)\n"));
  EXPECT_THAT(result.err, ContainsRegex("\n\\.\\.\\.[0-9]+ frames elided\\.\\.\\.\n"));
  // The outermost calls are there too.
  EXPECT_THAT(result.err, ContainsRegex("RunAway\\(\\)\n.*\nStartRunning\\(\\)\n"));
  EXPECT_LE(Count(result.err, "RunAway"), 100);
  EXPECT_GE(Count(result.err, "RunAway"), 90);
}

TEST(StackOverflow, IsReportedInUninstrumentedCode) { ExpectOverflow("stack_overflow"); }
TEST(StackOverflow, IsReportedInInstrumentedCode) { ExpectOverflow("stack_overflow_split"); }

TEST(StackOverflow, IsReportedOnTheSmallestStack) {
  for (const char* program : {"stack_overflow", "stack_overflow_split"}) {
    SCOPED_TRACE(program);
    const ProgramResult result = RunProgram(program, {.args = {"32768"}});
    EXPECT_EQ(result.exit_status, 2);
    EXPECT_THAT(result.err, StartsWith("runtime: goroutine stack exceeds 32768-byte limit\n"));
    EXPECT_THAT(result.err, ContainsRegex("RunAway\\(\\)\n.*\nStartRunning\\(\\)\n"));
  }
}

TEST(Crash, ShowsWhereAndDiesByTheSignal) {
  const ProgramResult result = Crash("null");
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_THAT(result.err, ContainsRegex("^SIGSEGV: segmentation violation\n"
                                        "PC=0x[0-9a-f]+ m=[0-9]+ sigcode=1 addr=0x0\n"
                                        "\ngoroutine [0-9]+ \\[running\\]:\n"
                                        "DereferenceNull\\(\\)\n\t"));
}

TEST(Crash, FindsTheCallerOfANullFunction) {
  const ProgramResult result = Crash("call");
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_THAT(result.err, ContainsRegex("\\[running\\]:\n\\?\n\t0x0\nCallNull\\(\\)\n"));
}

TEST(Crash, HasAReportForEachSignal) {
  struct Case {
    const char* kind;
    int signal;
    const char* text;
    const char* function;
  };
  for (const Case& c : {Case{"divide", SIGFPE, "SIGFPE: floating-point exception", "DivideByZero"},
                        Case{"trap", SIGILL, "SIGILL: illegal instruction", "Trap"},
                        Case{"breakpoint", SIGTRAP, "SIGTRAP: trace trap", "Breakpoint"},
                        Case{"abort", SIGABRT, "SIGABRT: abort", "CallAbort"},
                        Case{"raise", SIGSEGV, "SIGSEGV: segmentation violation", "RaiseIt"},
                        Case{"bus", SIGBUS, "SIGBUS: bus error", "ReadBeyondFile"}}) {
    SCOPED_TRACE(c.kind);
    const ProgramResult result = Crash(c.kind);
    EXPECT_EQ(result.signal, c.signal);
    EXPECT_THAT(result.err, StartsWith(c.text));
    EXPECT_EQ(Count(result.err, c.text), 1);
    EXPECT_THAT(result.err, HasSubstr(c.function));
  }
}

TEST(Quit, ShowsEveryGoroutineAndExitsWithTwo) {
  const ProgramResult result = RunProgram(
      "crash", {.args = {"sleep"}, .environment = {"URGE_MAXPROCS=1"}, .send_signal = SIGQUIT});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, StartsWith("SIGQUIT: quit\nPC=0x"));
  EXPECT_EQ(Count(result.err, " [sleep]:\n"), 2) << result.err;
}

TEST(Quit, NamesFilesAndLines) {
  const ProgramResult result = RunProgram("crash", {.args = {"sleep"}, .send_signal = SIGQUIT});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, ContainsRegex("\n\t[^\n]*/crash\\.cc:[0-9]+")) << result.err;
}

TEST(Quit, EndsTheProcessWithoutATracebackWhenToldSo) {
  const ProgramResult result = RunProgram(
      "crash", {.args = {"sleep"}, .environment = {"URGE_TRACEBACK=none"}, .send_signal = SIGQUIT});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, Not(HasSubstr("goroutine")));
}

TEST(Quit, IsServedThoughAGoroutineCanNotBeStopped) {
  const ProgramResult result = RunProgram("crash", {.args = {"hold"}, .send_signal = SIGQUIT});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, HasSubstr("[running]:\nHoldOff()\n")) << result.err;
}

TEST(Crash, OfAPlainThreadIsLeftAlone) {
  const ProgramResult result = Crash("thread");
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_EQ(result.err, "");
}

TEST(Crash, GoesToTheProgramsOwnHandler) {
  for (const char* kind : {"handler before", "handler after"}) {
    SCOPED_TRACE(kind);
    const ProgramResult result = Crash(kind);
    EXPECT_EQ(result.exit_status, 7);
    EXPECT_EQ(result.err, "the program's handler\n");
  }
}

TEST(Crash, ShowsRegistersAndRuntimeFramesAtLevelSystem) {
  const ProgramResult result = Crash("null", {"URGE_TRACEBACK=system"});
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_THAT(result.err, HasSubstr("\nurge_goexit\n"));
  EXPECT_THAT(result.err, ContainsRegex("\nrip    0x[0-9a-f]+\n"));
}

TEST(FatalError, ShowsTheGoroutineAndExitsWithTwo) {
  const ProgramResult result = RunProgram("fatal_error");
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, ContainsRegex("^fatal error: something is rotten\n\n"
                                        "goroutine [0-9]+ \\[running\\]:\nFailInside\\(\\)\n"));
  EXPECT_THAT(result.err, Not(HasSubstr("nil chan")));
}

TEST(FatalError, ShowsAllGoroutinesAtLevelAll) {
  const ProgramResult result = RunProgram("fatal_error", {.environment = {"URGE_TRACEBACK=all"}});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, ContainsRegex("\n\ngoroutine [0-9]+ \\[chan receive \\(nil chan\\)\\]:\n"
                                        "(urge::.*\n.*\n)*WaitForEver\\(\\)\n"));
}

TEST(FatalError, AbortsAtLevelCrash) {
  const ProgramResult result = RunProgram("fatal_error", {.environment = {"URGE_TRACEBACK=crash"}});
  EXPECT_EQ(result.signal, SIGABRT);
  EXPECT_EQ(Count(result.err, "[running]"), 1);
}

TEST(Traceback, RefusesUnknownLevelsWithoutDying) {
  const ProgramResult result = RunProgram("fatal_error", {.environment = {"URGE_TRACEBACK=loud"}});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, StartsWith("urge: URGE_TRACEBACK=loud is not one of none, single"));
}

TEST(Deadlock, ShowsEveryGoroutine) {
  const ProgramResult result = RunProgram("deadlock");
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, StartsWith("fatal error: all goroutines are asleep - deadlock!\n\n"));
  EXPECT_EQ(Count(result.err, " [chan receive]"), 2);
  EXPECT_EQ(Count(result.err, "\nWaitForEver()\n"), 2);
  EXPECT_THAT(result.err, HasSubstr("[chan receive] \"helper\":\n"));
}

TEST(Deadlock, IsReportedWhereThereIsNoMemory) {
  const ProgramResult result = RunProgram("deadlock", {.args = {"poor"}});
  EXPECT_EQ(result.exit_status, 2) << result.err;
  EXPECT_THAT(result.err, StartsWith("fatal error: all goroutines are asleep - deadlock!\n\n"));
  EXPECT_EQ(Count(result.err, "\nWaitForEver()\n"), 2);
}

}  // namespace
}  // namespace urge::test

// How `cairn` shows a job, on a terminal and without one: with a job that only
// counts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/process.h"
#include "tests/terminal.h"

namespace cairn::tests {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr char kCtrlC[] = "\x03";

TEST(JobWatchTest, WithoutATerminalThereAreLinesAndNoBar) {
  const Outcome outcome = Shell("admin/fake_job 12");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.text, "at step 5\nat step 10\nended\n");
  EXPECT_EQ(Shell("admin/fake_job 2 --json").text,
            "{\"done_count\":1}\n{\"done_count\":2}\nended\n");
}

TEST(JobWatchTest, WithoutATerminalASignalLeavesTheJob) {
  TemporaryDirectory directory;
  const std::string log = directory.path() + "/log";
  for (const int signal : {SIGINT, SIGTERM}) {
    const auto job = Process::Start({"admin/fake_job", "100000"}, log);
    ASSERT_TRUE(WaitUntil(absl::Seconds(10), [&] {
      return ReadFile(log).find("at step") != std::string::npos;
    }));
    job->Signal(signal);
    EXPECT_EQ(job->Wait(absl::Seconds(5)), 128 + signal);
    EXPECT_THAT(ReadFile(log),
                EndsWith("cairn: the count goes on: `cairn jobs` shows it, "
                         "`cairn jobs cancel` stops it\n"));
  }
}

TEST(JobWatchTest, ATerminalHasABarBelowTheLines) {
  Terminal terminal("admin/fake_job 50", 100);
  ASSERT_TRUE(terminal.WaitFor("counting  [#")) << terminal.shown();
  ASSERT_TRUE(terminal.WaitFor("\r\x1b[Kat step ")) << terminal.shown();
  EXPECT_EQ(terminal.Wait(), 0);
  EXPECT_THAT(terminal.shown(), EndsWith("\r\x1b[Kended\r\n"));
}

TEST(JobWatchTest, CtrlCAsksAndStopStops) {
  Terminal terminal("admin/fake_job 100000", 100);
  ASSERT_TRUE(terminal.WaitFor("counting  ")) << terminal.shown();
  terminal.Type(kCtrlC);
  ASSERT_TRUE(terminal.WaitFor("s: stop it; l: leave it running"));
  terminal.Type("s\n");
  EXPECT_EQ(terminal.Wait(absl::Seconds(10)), 2);
  EXPECT_THAT(terminal.shown(), HasSubstr("cairn: the count was stopped\r\n"));
}

TEST(JobWatchTest, CtrlCAsksAndEnterGoesOn) {
  Terminal terminal("admin/fake_job 200", 100);
  ASSERT_TRUE(terminal.WaitFor("counting  ")) << terminal.shown();
  for (int i = 0; i < 2; ++i) {
    terminal.Type(kCtrlC);
    ASSERT_TRUE(terminal.WaitFor("Enter: go on watching")) << i;
    terminal.Type("\n");
    ASSERT_TRUE(terminal.WaitFor("counting  ")) << terminal.shown();
  }
  EXPECT_EQ(terminal.Wait(absl::Seconds(20)), 0);
  EXPECT_THAT(terminal.shown(), EndsWith("ended\r\n"));
}

TEST(JobWatchTest, CtrlCAsksAndLeaveLeaves) {
  Terminal terminal("admin/fake_job 100000", 100);
  ASSERT_TRUE(terminal.WaitFor("counting  ")) << terminal.shown();
  terminal.Type(kCtrlC);
  ASSERT_TRUE(terminal.WaitFor("l: leave it running"));
  terminal.Type("l\n");
  EXPECT_EQ(terminal.Wait(absl::Seconds(10)), 0);
  EXPECT_THAT(terminal.shown(), AllOf(HasSubstr("cairn: the count goes on"),
                                      EndsWith("left\r\n")));
}

TEST(JobWatchTest, ASecondCtrlCAndAHangUpLeaveTheJobToo) {
  {
    Terminal terminal("admin/fake_job 100000", 100);
    ASSERT_TRUE(terminal.WaitFor("counting  ")) << terminal.shown();
    terminal.Type(kCtrlC);
    ASSERT_TRUE(terminal.WaitFor("l: leave it running"));
    terminal.Type(kCtrlC);
    EXPECT_EQ(terminal.Wait(absl::Seconds(10)), 128 + SIGINT);
    EXPECT_THAT(terminal.shown(), Not(HasSubstr("stopped")));
  }
  // The input ends instead of an answer.
  Terminal terminal("admin/fake_job 100000", 100);
  ASSERT_TRUE(terminal.WaitFor("counting  ")) << terminal.shown();
  terminal.Type(kCtrlC);
  ASSERT_TRUE(terminal.WaitFor("l: leave it running"));
  terminal.Type("\x04");
  EXPECT_EQ(terminal.Wait(absl::Seconds(10)), 0);
  EXPECT_THAT(terminal.shown(), EndsWith("left\r\n"));
}

TEST(JobWatchTest, AJobThatEndsBeforeTheAnswerHasEnded) {
  Terminal terminal("admin/fake_job 100", 100);
  ASSERT_TRUE(terminal.WaitFor("counting  ")) << terminal.shown();
  terminal.Type(kCtrlC);
  ASSERT_TRUE(terminal.WaitFor("l: leave it running"));
  EXPECT_EQ(terminal.Wait(absl::Seconds(20)), 0);
  EXPECT_THAT(terminal.shown(), EndsWith("ended\r\n"));
}

}  // namespace
}  // namespace cairn::tests

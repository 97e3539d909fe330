#include "master/jobs/job_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "index/memory_index_store.h"

namespace cairn::master {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto kKind = v1::JOB_KIND_VERIFY;

class JobRunnerTest : public testing::Test {
 protected:
  JobRunnerTest() { Restart(); }

  // A job that waits until it is let go, then ends with `outcome_`.
  void Restart() {
    runner_ = nullptr;
    runner_ = std::make_unique<JobRunner>(index_.get());
    runner_->Register(kKind, [this](JobContext* context) -> absl::Status {
      if (++runs_ == 1) context->AddProblem("something is wrong");
      cursor_seen_ = context->cursor();
      request_seen_ = context->request();
      absl::Status noted = context->SaveCursor("half way");
      if (!noted.ok()) return noted;
      context->Add(1, 100);
      while (!go_.load()) {
        absl::Status status = context->Pause(absl::Milliseconds(2));
        if (!status.ok()) return status;
      }
      context->SetSummary("it was done");
      return outcome_;
    });
  }
  JobRunner::JobPtr Start(const std::string& request = "request",
                          bool dry_run = false) {
    v1::JobOptions options;
    options.set_dry_run(dry_run);
    auto job = runner_->Start(kKind, options, request);
    EXPECT_TRUE(job.ok()) << job.status();
    return *job;
  }
  static v1::JobState End(const JobRunner::JobPtr& job) {
    EXPECT_TRUE(job->WaitForEnd(absl::Seconds(30)));
    return job->progress().state();
  }

  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
  std::atomic<bool> go_{false};
  std::atomic<int> runs_{0};
  absl::Status outcome_;
  std::string cursor_seen_;
  std::string request_seen_;
  std::unique_ptr<JobRunner> runner_;
};

TEST_F(JobRunnerTest, RunsAndSaysHowItEnded) {
  go_ = true;
  const auto job = Start();
  EXPECT_EQ(End(job), v1::JOB_STATE_DONE);
  EXPECT_EQ(job->progress().summary(), "it was done");
  EXPECT_EQ(job->progress().keys_done(), 1);
  EXPECT_EQ(request_seen_, "request");
  outcome_ = absl::DataLossError("it was not");
  const auto failed = Start();
  EXPECT_EQ(End(failed), v1::JOB_STATE_FAILED);
  EXPECT_EQ(failed->progress().error(), "it was not");
  EXPECT_GT(failed->id(), job->id());
}

TEST_F(JobRunnerTest, ASecondOneOfTheKindJoins) {
  const auto first = Start();
  const auto second = Start("another");
  EXPECT_EQ(first, second);
  go_ = true;
  EXPECT_EQ(End(second), v1::JOB_STATE_DONE);
  EXPECT_EQ(runs_, 1);
}

TEST_F(JobRunnerTest, ADryRunIsNotJoinedByOneThatIsNone) {
  for (const bool dry_run : {true, false}) {
    const auto running = Start("request", dry_run);
    v1::JobOptions options;
    options.set_dry_run(!dry_run);
    const auto other = runner_->Start(kKind, options, "request");
    EXPECT_TRUE(absl::IsFailedPrecondition(other.status()));
    EXPECT_THAT(std::string(other.status().message()),
                HasSubstr(absl::StrCat("(job ", running->id(), ")")));
    EXPECT_EQ(Start("request", dry_run), running);
    ASSERT_TRUE(runner_->Cancel(running->id()).ok());
    EXPECT_EQ(End(running), v1::JOB_STATE_CANCELLED);
  }
}

TEST_F(JobRunnerTest, WhatAnEarlierRunHasDoneIsNoPartOfTheRate) {
  JobContext context(index_.get(), v1::JobRecord(), {});
  context.SetTotals(1'000'000, 0);
  context.AddEarlier(900'000, 7);
  EXPECT_EQ(context.progress().keys_done(), 900'000);
  EXPECT_EQ(context.progress().bytes_done(), 7);
  EXPECT_EQ(context.progress().keys_per_second(), 0);
  EXPECT_EQ(context.progress().bytes_per_second(), 0);
  EXPECT_EQ(context.progress().eta_seconds(), -1);
}

TEST_F(JobRunnerTest, ACancelledJobDoesNotComeBack) {
  const auto job = Start();
  ASSERT_TRUE(runner_->Cancel(job->id()).ok());
  EXPECT_EQ(End(job), v1::JOB_STATE_CANCELLED);
  EXPECT_TRUE(absl::IsNotFound(runner_->Cancel(job->id())));
  Restart();
  ASSERT_TRUE(runner_->Resume().ok());
  EXPECT_THAT(runner_->jobs(), testing::IsEmpty());
}

TEST_F(JobRunnerTest, GoesOnAfterARestartWhereItWas) {
  const int64_t id = Start("what was asked")->id();
  while (runs_ == 0) absl::SleepFor(absl::Milliseconds(1));
  Restart();
  go_ = true;
  ASSERT_TRUE(runner_->Resume().ok());
  const auto jobs = runner_->jobs();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0]->id(), id);
  EXPECT_EQ(End(jobs[0]), v1::JOB_STATE_DONE);
  EXPECT_EQ(cursor_seen_, "half way");
  EXPECT_EQ(request_seen_, "what was asked");
  EXPECT_EQ(jobs[0]->progress().problems_count(), 1);
  EXPECT_THAT(jobs[0]->progress().problems(),
              ElementsAre("something is wrong"));
  Restart();
  ASSERT_TRUE(runner_->Resume().ok());
  EXPECT_THAT(runner_->jobs(), testing::IsEmpty());
}

TEST_F(JobRunnerTest, ADryRunLeavesNoTrace) {
  Start("request", /*dry_run=*/true);
  while (runs_ == 0) absl::SleepFor(absl::Milliseconds(1));
  Restart();
  ASSERT_TRUE(runner_->Resume().ok());
  EXPECT_THAT(runner_->jobs(), testing::IsEmpty());
}

TEST_F(JobRunnerTest, AfterStopNothingStarts) {
  runner_->Stop();
  EXPECT_TRUE(absl::IsUnavailable(runner_->Start(kKind, {}, "late").status()));
}

TEST_F(JobRunnerTest, TheFirstProblemsAreSpelledOutAndAllCounted) {
  v1::JobRecord record;
  record.set_job_id(1);
  JobContext context(index_.get(), record, {});
  for (int i = 0; i < 25; ++i) context.AddProblem("a sentence");
  EXPECT_EQ(context.progress().problems_count(), 25);
  EXPECT_EQ(context.progress().problems_size(), 10);
}

}  // namespace
}  // namespace cairn::master

#include "admin/job_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace cairn::admin {
namespace {

v1::JobProgress Listing() {
  v1::JobProgress progress;
  progress.set_job_id(12);
  progress.set_kind(v1::JOB_KIND_REBUILD);
  progress.set_state(v1::JOB_STATE_RUNNING);
  progress.set_phase("listing");
  progress.set_keys_done(34);
  progress.set_keys_total(100);
  progress.set_bytes_done(2048);
  progress.set_keys_per_second(10);
  progress.set_eta_seconds(7);
  return progress;
}

TEST(JobTextTest, OnlyWhatIsNewIsPrinted) {
  v1::JobProgress now = Listing();
  EXPECT_EQ(UpdateOf({}, now).phase_text, "rebuild: listing\n");
  EXPECT_EQ(UpdateOf(now, now).phase_text, "");
  now.add_problems("one");
  now.set_problems_count(1);
  EXPECT_EQ(UpdateOf(Listing(), now).text, "one\n");
  EXPECT_EQ(UpdateOf(now, now).text, "");
  v1::JobProgress done = now;
  done.set_state(v1::JOB_STATE_DONE);
  done.add_problems("two");
  done.set_problems_count(5);
  done.set_summary("100 keys");
  EXPECT_EQ(UpdateOf(now, done).text,
            "two\nand 3 more: see the master's log\n100 keys\n");
}

TEST(JobTextTest, TheBarSaysWhatTheMasterSays) {
  const BarState bar = UpdateOf({}, Listing()).bar;
  EXPECT_EQ(bar.label, "rebuild: listing");
  EXPECT_TRUE(bar.totals_known);
  EXPECT_EQ(bar.time_left, absl::Seconds(7));
  v1::JobProgress unknown = Listing();
  unknown.set_keys_total(0);
  unknown.set_eta_seconds(-1);
  unknown.set_dry_run(true);
  const BarState other = UpdateOf({}, unknown).bar;
  EXPECT_EQ(other.label, "rebuild (dry run): listing");
  EXPECT_FALSE(other.totals_known);
  EXPECT_EQ(other.time_left, absl::InfiniteDuration());
}

TEST(JobTextTest, AMessageIsOneLineOfJson) {
  v1::JobProgress progress = Listing();
  progress.add_problems("a\nb");
  const std::string line = UpdateOf({}, progress).json;
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["job_id"], 12);
  EXPECT_EQ(json["kind"], "rebuild");
  EXPECT_EQ(json["state"], "running");
  EXPECT_EQ(json["keys_total"], 100);
  EXPECT_EQ(json["problems"][0], "a\nb");
}

TEST(JobTextTest, JobsAreATableAnArrayAndALine) {
  v1::ListJobsResponse jobs;
  EXPECT_EQ(JobsText(jobs), "no job has run since the master was started\n");
  EXPECT_EQ(JobsJson(jobs), "[]\n");
  EXPECT_EQ(RunningJobs(jobs), "none");
  *jobs.add_jobs() = Listing();
  v1::JobProgress* done = jobs.add_jobs();
  done->set_job_id(3);
  done->set_kind(v1::JOB_KIND_VERIFY);
  done->set_state(v1::JOB_STATE_DONE);
  EXPECT_EQ(JobsText(jobs),
            "ID  KIND     STATE    PHASE    DONE  KEYS    BYTES  ETA   "
            "PROBLEMS\n"
            "12  rebuild  running  listing  34%     34  2.0 KiB  0:07"
            "         0\n"
            "3   verify   done     -        -        0      0 B  -   "
            "         0\n");
  EXPECT_EQ(nlohmann::json::parse(JobsJson(jobs)).size(), 2u);
  EXPECT_EQ(RunningJobs(jobs), "rebuild (listing, 34%)");
}

}  // namespace
}  // namespace cairn::admin

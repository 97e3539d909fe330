#include "admin/job_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "admin/human.h"
#include "admin/table.h"

namespace cairn::admin {
namespace {

std::string StateText(v1::JobState state) {
  absl::string_view name = v1::JobState_Name(state);
  absl::ConsumePrefix(&name, "JOB_STATE_");
  return absl::AsciiStrToLower(name);
}

bool Running(const v1::JobProgress& progress) {
  return progress.state() == v1::JOB_STATE_RUNNING;
}

// Of bytes if there are any, else of keys; empty if it is not known.
std::string Percent(const v1::JobProgress& progress) {
  const bool bytes = progress.bytes_total() > 0;
  const int64_t total = bytes ? progress.bytes_total() : progress.keys_total();
  const int64_t done = bytes ? progress.bytes_done() : progress.keys_done();
  if (total <= 0) return "";
  const double share = static_cast<double>(done) / static_cast<double>(total);
  return absl::StrCat(static_cast<int>(std::clamp(share, 0.0, 1.0) * 100), "%");
}

std::string TimeLeft(const v1::JobProgress& progress) {
  if (!Running(progress) || progress.eta_seconds() < 0) return "-";
  return HumanDuration(absl::Seconds(progress.eta_seconds()));
}

BarState BarOf(const v1::JobProgress& progress) {
  BarState bar;
  bar.label = JobKindText(progress.kind());
  if (progress.dry_run()) bar.label += " (dry run)";
  if (!progress.phase().empty()) {
    absl::StrAppend(&bar.label, ": ", progress.phase());
  }
  bar.unit = "keys";
  bar.done_count = progress.keys_done();
  bar.done_bytes = progress.bytes_done();
  bar.totals_known = progress.keys_total() > 0 || progress.bytes_total() > 0;
  bar.total_count = progress.keys_total();
  bar.total_bytes = progress.bytes_total();
  bar.bytes_per_second = progress.bytes_per_second();
  bar.count_per_second = progress.keys_per_second();
  if (progress.eta_seconds() >= 0) {
    bar.time_left = absl::Seconds(progress.eta_seconds());
  }
  bar.errors_count = progress.problems_count();
  return bar;
}

}  // namespace

std::string JobKindText(v1::JobKind kind) {
  absl::string_view name = v1::JobKind_Name(kind);
  absl::ConsumePrefix(&name, "JOB_KIND_");
  return absl::AsciiStrToLower(name);
}

JobUpdate UpdateOf(const v1::JobProgress& before, const v1::JobProgress& now) {
  JobUpdate update;
  update.bar = BarOf(now);
  update.json = JsonLine(JobJson(now));
  if (!now.phase().empty() && now.phase() != before.phase()) {
    update.phase_text =
        absl::StrCat(JobKindText(now.kind()), ": ", now.phase(), "\n");
  }
  for (int i = before.problems_size(); i < now.problems_size(); ++i) {
    absl::StrAppend(&update.text, now.problems(i), "\n");
  }
  if (Running(now)) return update;
  const int64_t more = now.problems_count() - now.problems_size();
  if (more > 0) {
    absl::StrAppend(&update.text, "and ", more,
                    " more: see the master's log\n");
  }
  if (!now.summary().empty())
    absl::StrAppend(&update.text, now.summary(), "\n");
  return update;
}

Json JobJson(const v1::JobProgress& progress) {
  Json json = {{"job_id", progress.job_id()},
               {"kind", JobKindText(progress.kind())},
               {"state", StateText(progress.state())},
               {"dry_run", progress.dry_run()},
               {"phase", progress.phase()},
               {"keys_done", progress.keys_done()},
               {"keys_total", progress.keys_total()},
               {"bytes_done", progress.bytes_done()},
               {"bytes_total", progress.bytes_total()},
               {"keys_per_second", progress.keys_per_second()},
               {"bytes_per_second", progress.bytes_per_second()},
               {"eta_seconds", progress.eta_seconds()},
               {"problems_count", progress.problems_count()}};
  json["problems"] = Json::array();
  for (const std::string& problem : progress.problems()) {
    json["problems"].push_back(problem);
  }
  json["error"] = progress.error();
  json["summary"] = progress.summary();
  return json;
}

std::string JobsText(const v1::ListJobsResponse& jobs) {
  if (jobs.jobs().empty()) {
    return "no job has run since the master was started\n";
  }
  std::vector<std::vector<std::string>> rows = {{"ID", "KIND", "STATE", "PHASE",
                                                 "DONE", "KEYS", "BYTES", "ETA",
                                                 "PROBLEMS"}};
  for (const v1::JobProgress& job : jobs.jobs()) {
    const std::string percent = Percent(job);
    rows.push_back({absl::StrCat(job.job_id()),
                    JobKindText(job.kind()) + (job.dry_run() ? " (dry)" : ""),
                    StateText(job.state()),
                    job.phase().empty() ? "-" : job.phase(),
                    percent.empty() ? "-" : percent,
                    absl::StrCat(job.keys_done()), HumanBytes(job.bytes_done()),
                    TimeLeft(job), absl::StrCat(job.problems_count())});
  }
  return Table(rows);
}

Json JobsArray(const v1::ListJobsResponse& jobs) {
  Json json = Json::array();
  for (const v1::JobProgress& job : jobs.jobs()) json.push_back(JobJson(job));
  return json;
}

std::string JobsJson(const v1::ListJobsResponse& jobs) {
  return JsonText(JobsArray(jobs));
}

std::string RunningJobs(const v1::ListJobsResponse& jobs) {
  std::vector<std::string> running;
  for (const v1::JobProgress& job : jobs.jobs()) {
    if (!Running(job)) continue;
    std::vector<std::string> how = {job.phase(), Percent(job)};
    how.erase(std::remove(how.begin(), how.end(), ""), how.end());
    running.push_back(how.empty()
                          ? JobKindText(job.kind())
                          : absl::StrCat(JobKindText(job.kind()), " (",
                                         absl::StrJoin(how, ", "), ")"));
  }
  return running.empty() ? "none" : absl::StrJoin(running, ", ");
}

}  // namespace cairn::admin

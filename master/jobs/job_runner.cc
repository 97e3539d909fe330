#include "master/jobs/job_runner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"

namespace cairn::master {
namespace {

// The fact in the index that holds the running job of a kind; empty: none.
std::string FactName(v1::JobKind kind) { return absl::StrCat("job/", kind); }

absl::Status NoteJob(index::IndexStore* index, const v1::JobRecord& record) {
  return base::Annotate(
      index->SetMeta(FactName(record.kind()), record.SerializeAsString()),
      "noting a job in the index");
}

}  // namespace

JobContext::JobContext(index::IndexStore* index, v1::JobRecord record,
                       const v1::JobOptions& options)
    : index_(index),
      options_(options),
      started_(absl::Now()),
      rate_(options.bytes_per_second_max()),
      record_(std::move(record)) {
  base::MutexLock lock(&mu_);
  cursor_ = record_.cursor();
  progress_.set_job_id(record_.job_id());
  progress_.set_kind(record_.kind());
  progress_.set_state(v1::JOB_STATE_RUNNING);
  progress_.set_dry_run(options_.dry_run());
  progress_.set_phase("starting");
  progress_.set_problems_count(record_.problems_count());
  *progress_.mutable_problems() = record_.problems();
}

std::string JobContext::cursor() const {
  base::MutexLock lock(&mu_);
  return cursor_;
}

absl::Status JobContext::SaveCursor(absl::string_view cursor) {
  v1::JobRecord record = record_;
  record.set_cursor(std::string(cursor));
  {
    base::MutexLock lock(&mu_);
    cursor_ = std::string(cursor);
    record.set_problems_count(progress_.problems_count());
    *record.mutable_problems() = progress_.problems();
  }
  return dry_run() ? absl::OkStatus() : NoteJob(index_, record);
}

void JobContext::StartOver() {
  base::MutexLock lock(&mu_);
  progress_.clear_problems_count();
  progress_.clear_problems();
}

absl::Status JobContext::CheckGoOn() const {
  base::MutexLock lock(&mu_);
  if (stop_ == Stop::kNo) return absl::OkStatus();
  return absl::CancelledError("the job was cancelled");
}

absl::Status JobContext::Pause(absl::Duration duration) const {
  {
    const absl::Time deadline = absl::Now() + duration;
    base::MutexLock lock(&mu_);
    while (stop_ == Stop::kNo && absl::Now() < deadline) {
      changed_.WaitFor(&mu_, deadline - absl::Now());
    }
  }
  return CheckGoOn();
}

absl::Status JobContext::Spend(int64_t bytes) {
  const absl::Duration wait = rate_.Take(bytes, absl::Now());
  return wait > absl::ZeroDuration() ? Pause(wait) : CheckGoOn();
}

void JobContext::SetPhase(absl::string_view phase) {
  base::MutexLock lock(&mu_);
  progress_.set_phase(std::string(phase));
}

void JobContext::SetTotals(int64_t keys, int64_t bytes) {
  base::MutexLock lock(&mu_);
  progress_.set_keys_total(keys);
  progress_.set_bytes_total(bytes);
}

void JobContext::Add(int64_t keys, int64_t bytes) {
  base::MutexLock lock(&mu_);
  progress_.set_keys_done(progress_.keys_done() + keys);
  progress_.set_bytes_done(progress_.bytes_done() + bytes);
}

void JobContext::AddEarlier(int64_t keys, int64_t bytes) {
  Add(keys, bytes);
  base::MutexLock lock(&mu_);
  earlier_keys_ += keys;
  earlier_bytes_ += bytes;
}

void JobContext::AddProblem(absl::string_view sentence) {
  base::LogWarning(sentence);
  base::MutexLock lock(&mu_);
  progress_.set_problems_count(progress_.problems_count() + 1);
  if (progress_.problems_size() < base::kJobProblemsShown) {
    progress_.add_problems(std::string(sentence));
  }
}

void JobContext::SetSummary(absl::string_view sentence) {
  base::MutexLock lock(&mu_);
  progress_.set_summary(std::string(sentence));
}

v1::JobProgress JobContext::progress() const {
  base::MutexLock lock(&mu_);
  v1::JobProgress progress = progress_;
  const double seconds =
      std::max(absl::ToDoubleSeconds(absl::Now() - started_), 1e-3);
  const int64_t keys = progress.keys_done() - earlier_keys_;
  progress.set_keys_per_second(keys / seconds);
  progress.set_bytes_per_second((progress.bytes_done() - earlier_bytes_) /
                                seconds);
  const int64_t left = progress.keys_total() - progress.keys_done();
  const bool known = progress.keys_total() > 0 && keys > 0;
  progress.set_eta_seconds(
      known ? static_cast<int64_t>(std::max<int64_t>(left, 0) /
                                   progress.keys_per_second())
            : -1);
  return progress;
}

bool JobContext::WaitForEnd(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  base::MutexLock lock(&mu_);
  while (!ended_ && absl::Now() < deadline) {
    changed_.WaitFor(&mu_, deadline - absl::Now());
  }
  return ended_;
}

void JobContext::RequestStop(Stop stop) {
  base::MutexLock lock(&mu_);
  if (stop_ == Stop::kNo) stop_ = stop;
  changed_.SignalAll();
}

bool JobContext::End(const absl::Status& status) {
  base::MutexLock lock(&mu_);
  const bool later = absl::IsCancelled(status) && stop_ == Stop::kLater;
  if (status.ok()) {
    progress_.set_state(v1::JOB_STATE_DONE);
  } else if (absl::IsCancelled(status)) {
    progress_.set_state(v1::JOB_STATE_CANCELLED);
  } else {
    progress_.set_state(v1::JOB_STATE_FAILED);
    progress_.set_error(std::string(status.message()));
  }
  ended_ = true;
  changed_.SignalAll();
  return !later;
}

JobRunner::~JobRunner() { Stop(); }

void JobRunner::Register(v1::JobKind kind, Run run) {
  runs_[kind] = std::move(run);
}

absl::StatusOr<JobRunner::JobPtr> JobRunner::Start(
    v1::JobKind kind, const v1::JobOptions& options, std::string request) {
  base::MutexLock lock(&mu_);
  if (stopping_) {
    return absl::UnavailableError("the master is stopping: try again");
  }
  const auto running = jobs_.find(kind);
  if (running != jobs_.end() &&
      !running->second->WaitForEnd(absl::ZeroDuration())) {
    // Who joins a dry run would believe that something was done.
    if (running->second->dry_run() == options.dry_run()) return running->second;
    return absl::FailedPreconditionError(absl::StrCat(
        options.dry_run() ? "the job runs already, not as a dry run (job "
                          : "a dry run of this job runs (job ",
        running->second->id(), "): wait for its end or cancel it"));
  }
  v1::JobRecord record;
  ASSIGN_OR_RETURN(const int64_t id, index_->NextNumber("job_id"));
  record.set_job_id(id);
  record.set_kind(kind);
  record.set_request(std::move(request));
  *record.mutable_options() = options;
  if (!options.dry_run()) RETURN_IF_ERROR(NoteJob(index_, record));
  JobPtr job;
  RETURN_IF_ERROR(StartLocked(std::move(record), options, &job));
  return job;
}

absl::Status JobRunner::StartLocked(v1::JobRecord record,
                                    const v1::JobOptions& options,
                                    JobPtr* job) {
  const v1::JobKind kind = record.kind();
  const auto run = runs_.find(kind);
  if (run == runs_.end()) {
    return absl::UnimplementedError("this master knows no such job");
  }
  *job = std::make_shared<JobContext>(index_, std::move(record), options);
  jobs_[kind] = *job;
  std::thread& thread = threads_[kind];
  if (thread.joinable()) thread.join();  // Its job has ended.
  thread = std::thread(
      [this, started = *job, &run = run->second] { RunJob(started, run); });
  return absl::OkStatus();
}

void JobRunner::RunJob(const JobPtr& job, const Run& run) {
  const std::string name = absl::StrCat(
      "job ", job->id(), " (", v1::JobKind_Name(job->progress().kind()), ")");
  base::LogInfo(name, " runs");
  const absl::Status status = run(job.get());
  const v1::JobKind kind = job->progress().kind();
  const bool over = job->End(status);
  base::LogInfo(name, " ", over ? "has ended: " : "goes on after a restart: ",
                status.ok() ? job->progress().summary() : status.message());
  if (!over || job->dry_run()) return;
  const absl::Status cleared = index_->SetMeta(FactName(kind), "");
  if (!cleared.ok()) {
    base::LogWarning("a job that has ended will run again: ",
                     cleared.message());
  }
}

absl::Status JobRunner::Resume() {
  base::MutexLock lock(&mu_);
  for (const auto& [kind, run] : runs_) {
    const auto stored = index_->GetMeta(FactName(kind));
    if (absl::IsNotFound(stored.status())) continue;
    RETURN_IF_ERROR(stored.status());
    v1::JobRecord record;
    if (stored->empty()) continue;
    if (!record.ParseFromString(*stored)) {
      base::LogError("what the index holds of a job cannot be read: ",
                     FactName(kind));
      continue;
    }
    const v1::JobOptions options = record.options();
    JobPtr job;
    RETURN_IF_ERROR(StartLocked(std::move(record), options, &job));
  }
  return absl::OkStatus();
}

std::vector<JobRunner::JobPtr> JobRunner::jobs() {
  base::MutexLock lock(&mu_);
  std::vector<JobPtr> jobs;
  for (const auto& [kind, job] : jobs_) jobs.push_back(job);
  return jobs;
}

absl::Status JobRunner::Cancel(int64_t job_id) {
  for (const JobPtr& job : jobs()) {
    if (job->id() != job_id || job->WaitForEnd(absl::ZeroDuration())) continue;
    job->RequestStop(JobContext::Stop::kCancel);
    return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat("no job ", job_id, " runs now"));
}

void JobRunner::Stop() {
  std::map<v1::JobKind, std::thread> threads;
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    for (const auto& [kind, job] : jobs_) {
      job->RequestStop(JobContext::Stop::kLater);
    }
    threads.swap(threads_);
  }
  for (auto& [kind, thread] : threads) {
    if (thread.joinable()) thread.join();
  }
}

}  // namespace cairn::master

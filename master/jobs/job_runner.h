// Runs long jobs: one of a kind at a time, each on a thread of its own, watched
// by any number of callers. What runs is noted in the index, so that a job goes
// on after a restart of the master.

#ifndef CAIRN_MASTER_JOBS_JOB_RUNNER_H_
#define CAIRN_MASTER_JOBS_JOB_RUNNER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "index/index_store.h"
#include "master/jobs/rate_limit.h"
#include "proto/cairn/v1/admin.pb.h"

namespace cairn::master {

// A job as it runs and as others see it. Thread safety: any method from any
// thread.
class JobContext {
 public:
  JobContext(index::IndexStore* index, v1::JobRecord record,
             const v1::JobOptions& options);

  // --- For the job ---

  bool dry_run() const { return options_.dry_run(); }
  // Serialized, as it was started.
  const std::string& request() const { return record_.request(); }
  // Where an earlier run of this job has got to; empty: nowhere.
  std::string cursor() const;
  // With the problems found so far, which a later run of this job begins with.
  // Durable when it returns. A dry run notes nothing.
  absl::Status SaveCursor(absl::string_view cursor);
  // The job does not go on where it was: earlier problems are found again.
  void StartOver();

  // OK, or kCancelled: the job must return that soon.
  absl::Status CheckGoOn() const;
  // Waits, or less long if the job is to end; returns CheckGoOn().
  absl::Status Pause(absl::Duration duration) const;
  // Waits until so many bytes may be moved; returns CheckGoOn().
  absl::Status Spend(int64_t bytes);

  void SetPhase(absl::string_view phase);
  // Estimates; 0: not known.
  void SetTotals(int64_t keys, int64_t bytes);
  void Add(int64_t keys, int64_t bytes);
  // Done by an earlier run: counts, but not for the rate.
  void AddEarlier(int64_t keys, int64_t bytes);
  // A sentence about what is wrong or could not be done; the job goes on.
  void AddProblem(absl::string_view sentence);
  void SetSummary(absl::string_view sentence);

  // --- For who watches ---

  int64_t id() const { return record_.job_id(); }
  v1::JobProgress progress() const;
  // Waits until the job has ended, at most `timeout`; true: it has.
  bool WaitForEnd(absl::Duration timeout) const;

 private:
  friend class JobRunner;
  enum class Stop { kNo, kCancel, kLater };

  void RequestStop(Stop stop);
  // Says how it ended; false: it goes on at the next start.
  bool End(const absl::Status& status);

  index::IndexStore* const index_;
  const v1::JobOptions options_;
  const absl::Time started_;
  RateLimit rate_;

  mutable base::Mutex mu_;
  mutable base::CondVar changed_;
  const v1::JobRecord record_;  // As it was when this run began.
  v1::JobProgress progress_ ABSL_GUARDED_BY(mu_);
  int64_t earlier_keys_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t earlier_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::string cursor_ ABSL_GUARDED_BY(mu_);
  Stop stop_ ABSL_GUARDED_BY(mu_) = Stop::kNo;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

// Thread safety: any method from any thread.
class JobRunner {
 public:
  // Does the work; called on the job's own thread. kCancelled: as it was told.
  using Run = std::function<absl::Status(JobContext* context)>;
  using JobPtr = std::shared_ptr<JobContext>;

  // `index` outlives the runner.
  explicit JobRunner(index::IndexStore* index) : index_(index) {}
  ~JobRunner();
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;

  // Before anything else.
  void Register(v1::JobKind kind, Run run);

  // Starts a job, or joins the one of its kind that runs. Blocks: the job is
  // noted durably before it starts (a dry run is not noted).
  // kFailedPrecondition: one runs, and of both exactly one is a dry run.
  // kUnavailable: the runner is stopping, or the index does not answer.
  absl::StatusOr<JobPtr> Start(v1::JobKind kind, const v1::JobOptions& options,
                               std::string request);
  // Goes on with what ran when the master ended.
  absl::Status Resume();

  // The last job of each kind.
  std::vector<JobPtr> jobs();
  // kNotFound: no such job runs.
  absl::Status Cancel(int64_t job_id);

  // Ends all jobs soon; they go on at the next start.
  void Stop();

 private:
  absl::Status StartLocked(v1::JobRecord record, const v1::JobOptions& options,
                           JobPtr* job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RunJob(const JobPtr& job, const Run& run);

  index::IndexStore* const index_;
  std::map<v1::JobKind, Run> runs_;  // Fixed after Register().

  // Held while a job is noted: starting one is rare.
  base::Mutex mu_;
  std::map<v1::JobKind, JobPtr> jobs_ ABSL_GUARDED_BY(mu_);
  std::map<v1::JobKind, std::thread> threads_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_JOB_RUNNER_H_

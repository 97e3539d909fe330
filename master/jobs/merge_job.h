// Lists volumes and disks that a rebuild was made without, once they are back:
// by the rule of the rebuild, while clients read and write.
//
// Until all are back no tombstone is forgotten: one of them may still have the
// value that it keeps away.

#ifndef CAIRN_MASTER_JOBS_MERGE_JOB_H_
#define CAIRN_MASTER_JOBS_MERGE_JOB_H_

#include <atomic>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "index/index_store.h"
#include "master/commit_queue.h"
#include "master/jobs/job_runner.h"
#include "master/membership.h"
#include "proto/cairn/v1/admin.pb.h"

namespace cairn::master {

// Notes what a rebuild was made without, durably, in place of what was noted.
absl::Status NoteUnlisted(index::IndexStore* index,
                          const v1::RebuildRequest& request);

class MergeJob {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // All outlive the job.
    Membership* membership = nullptr;
    CommitQueue* commits = nullptr;
    // Blobs of this volume have entered the removal queue.
    std::function<void(uint32_t volume_id)> on_removals;
  };
  // Registers itself with `jobs`, which outlives it.
  MergeJob(Options options, JobRunner* jobs);

  // Starts the job if a volume that it waits for is up. Call now and then,
  // while the cluster serves; not from several threads. Blocks on the index.
  absl::Status Tick();

  // True: something has not been listed yet, or, before the first Tick(), may
  // not have been. Any thread.
  bool waits() const { return waits_.load(); }

 private:
  absl::Status Run(JobContext* context);

  const Options options_;
  JobRunner* const jobs_;
  // Stands for itself.
  std::atomic<bool> waits_{true};
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_MERGE_JOB_H_

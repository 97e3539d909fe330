// Makes a lost index again from the files of all volumes.
//
// A key lies in the directory of the same number on every subvolume, so the
// job goes directory by directory: all agents list theirs at once. While some
// are read, the copies of the keys of those before are merged (blob_merge.h)
// and written into the index. Once a second the number is noted, so that a
// restart of the master goes on there (restore_writer.h). Memory holds a few
// of the 256 directories.

#ifndef CAIRN_MASTER_JOBS_REBUILD_JOB_H_
#define CAIRN_MASTER_JOBS_REBUILD_JOB_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/index_store.h"
#include "master/index_clock.h"
#include "master/index_mark.h"
#include "master/jobs/job_runner.h"
#include "master/membership.h"

namespace cairn::master {

class RebuildJob {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // All outlive the job.
    Membership* membership = nullptr;
    IndexClock* clock = nullptr;
    IndexMark* mark = nullptr;
    // The removal queue has been filled; the cluster serves.
    std::function<void()> on_done;
  };
  explicit RebuildJob(Options options) : options_(std::move(options)) {}

  // For JobRunner; the request is a RebuildRequest.
  absl::Status Run(JobContext* context);

  // True: a rebuild has begun to empty the index and has not ended since.
  static absl::StatusOr<bool> HasBegun(index::IndexStore* index);

 private:
  const Options options_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_REBUILD_JOB_H_

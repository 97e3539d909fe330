// Starts a round of the background verify whenever one is due.

#ifndef CAIRN_MASTER_JOBS_BACKGROUND_VERIFY_H_
#define CAIRN_MASTER_JOBS_BACKGROUND_VERIFY_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "index/index_store.h"
#include "master/jobs/job_runner.h"
#include "master/jobs/verify_job.h"

namespace cairn::master {

// Call all methods from one thread, but for those of the job.
class BackgroundVerify {
 public:
  // A full round in `every`; zero: never. All outlive this object.
  BackgroundVerify(absl::Duration every, index::IndexStore* index,
                   VerifyJob* verify, JobRunner* jobs);

  // Starts a round if none runs and the last one began `every` ago. Call now
  // and then, while the cluster serves. Blocks on the index.
  absl::Status Tick();

 private:
  const absl::Duration every_;
  index::IndexStore* const index_;
  JobRunner* const jobs_;
  // Not before this: the last one began so long ago.
  absl::Time due_ = absl::InfinitePast();
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_BACKGROUND_VERIFY_H_

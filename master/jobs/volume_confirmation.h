// Sees to it that volumes which have come back in an older state (Volume's
// `unconfirmed`) are compared with the index, until all of them are.

#ifndef CAIRN_MASTER_JOBS_VOLUME_CONFIRMATION_H_
#define CAIRN_MASTER_JOBS_VOLUME_CONFIRMATION_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "master/jobs/job_runner.h"
#include "master/jobs/verify_job.h"
#include "master/membership.h"

namespace cairn::master {

// Call from one thread.
class VolumeConfirmation {
 public:
  // Registers itself with `jobs`. All outlive this object.
  VolumeConfirmation(Membership* membership, VerifyJob* verify,
                     JobRunner* jobs);

  // Starts the job if one of them is up and none runs. Call now and then, while
  // the cluster serves. Blocks on the index.
  absl::Status Tick();

 private:
  Membership* const membership_;
  JobRunner* const jobs_;
  JobRunner::JobPtr job_;
  // What it could not compare it tries again, but not all the time.
  absl::Time next_at_ = absl::InfinitePast();
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_VOLUME_CONFIRMATION_H_

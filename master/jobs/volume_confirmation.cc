#include "master/jobs/volume_confirmation.h"

#include "absl/time/clock.h"
#include "base/status.h"

namespace cairn::master {
namespace {

constexpr absl::Duration kRetryPause = absl::Seconds(10);

}  // namespace

VolumeConfirmation::VolumeConfirmation(Membership* membership,
                                       VerifyJob* verify, JobRunner* jobs)
    : membership_(membership), jobs_(jobs) {
  jobs->Register(v1::JOB_KIND_CONFIRM, [verify](JobContext* context) {
    return verify->RunConfirm(context);
  });
}

absl::Status VolumeConfirmation::Tick() {
  if (membership_->Unconfirmed().empty()) {
    next_at_ = absl::InfinitePast();
    return absl::OkStatus();
  }
  if (job_ != nullptr && !job_->WaitForEnd(absl::ZeroDuration())) {
    next_at_ = absl::Now() + kRetryPause;  // It has not ended.
    return absl::OkStatus();
  }
  if (absl::Now() < next_at_) return absl::OkStatus();
  ASSIGN_OR_RETURN(job_,
                   jobs_->Start(v1::JOB_KIND_CONFIRM, v1::JobOptions(), ""));
  return absl::OkStatus();
}

}  // namespace cairn::master

#include "master/jobs/background_verify.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "base/status.h"

namespace cairn::master {

BackgroundVerify::BackgroundVerify(absl::Duration every,
                                   index::IndexStore* index, VerifyJob* verify,
                                   JobRunner* jobs)
    : every_(every), index_(index), jobs_(jobs) {
  jobs->Register(v1::JOB_KIND_BACKGROUND_VERIFY,
                 [every, verify](JobContext* context) {
                   // A round that an earlier master began ends with the flag.
                   if (every == absl::ZeroDuration()) return absl::OkStatus();
                   return verify->RunRound(every, context);
                 });
}

absl::Status BackgroundVerify::Tick() {
  if (every_ == absl::ZeroDuration() || absl::Now() < due_) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const auto last, VerifyJob::LastRound(index_));
  if (last.has_value()) {
    due_ = absl::FromUnixMillis(last->started_time_ms()) + every_;
    // A wall clock that was set back must not put it off for long.
    due_ = std::min(due_, absl::Now() + every_);
    if (absl::Now() < due_) return absl::OkStatus();
  }
  // Joins one that runs.
  return jobs_->Start(v1::JOB_KIND_BACKGROUND_VERIFY, v1::JobOptions(), "")
      .status();
}

}  // namespace cairn::master

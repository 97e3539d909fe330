// Reads every copy of every value against its hash, and looks for files that
// no key needs, while clients read and write.
//
// It follows the index, key by key; whatever looks wrong is looked up again
// before it counts, since it may just have been replaced or deleted. Then it
// follows the files: a blob that the index does not name, that does not wait
// in the removal queue and that is too old to be committed any more is stray.
//
// A diff does the same without reading values; so does the comparison of a
// volume that has come back in an older state. The background verify does it so
// slowly that a round takes as long as it may.

#ifndef CAIRN_MASTER_JOBS_VERIFY_JOB_H_
#define CAIRN_MASTER_JOBS_VERIFY_JOB_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "index/index_store.h"
#include "master/agents.h"
#include "master/held_blobs.h"
#include "master/jobs/job_runner.h"
#include "master/membership.h"
#include "proto/cairn/v1/admin.pb.h"

namespace cairn::master {

class VerifyJob {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // All outlive the job.
    Membership* membership = nullptr;
    std::function<int64_t()> now_ms;  // The index's clock.
    int64_t fencing_number = 0;
    Agents* agents = nullptr;
    HeldBlobs* held = nullptr;  // What other jobs make just now is not stray.
    // Stray blobs of this volume have entered the removal queue.
    std::function<void(uint32_t volume_id)> on_removals;
  };
  explicit VerifyJob(Options options) : options_(std::move(options)) {}

  // For JobRunner; the request is a VerifyRequest.
  absl::Status Run(JobContext* context);
  // The same by attributes alone; there is no request.
  absl::Status RunDiff(JobContext* context);
  // Compares the volumes that are unconfirmed with the index, by attributes:
  // copies that they lack are made again, blobs that no key needs are removed.
  // Those that lack nothing any more are confirmed. There is no request, and
  // each run begins anew.
  absl::Status RunConfirm(JobContext* context);
  // A round of the background verify, which takes about `duration` if there is
  // more than one group of keys. Its outcome is LastRound() then.
  absl::Status RunRound(absl::Duration duration, JobContext* context);

  // What the last full round found; not set: none has ended.
  static absl::StatusOr<absl::optional<v1::VerifySummary>> LastRound(
      index::IndexStore* index);

 private:
  const Options options_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_VERIFY_JOB_H_

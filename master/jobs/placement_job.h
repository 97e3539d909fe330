// The jobs that move copies: rebalance, repair and drain.
//
// Each follows the index key by key, plans for each key (placement_plan.h) and
// moves groups of them, some at once between different pairs of volumes
// (blob_mover.h). What failed is tried again by itself, without another walk,
// until nothing is left to do, or it gets no further.

#ifndef CAIRN_MASTER_JOBS_PLACEMENT_JOB_H_
#define CAIRN_MASTER_JOBS_PLACEMENT_JOB_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/limits.h"
#include "index/index_store.h"
#include "master/jobs/blob_mover.h"
#include "master/jobs/copy_agents.h"
#include "master/jobs/job_runner.h"
#include "master/membership.h"

namespace cairn::master {

class PlacementJob {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // All outlive the job.
    Membership* membership = nullptr;
    BlobMover* mover = nullptr;
    CopyAgents* copies = nullptr;
    // The removal queue of this volume is to be looked through.
    std::function<void(uint32_t volume_id)> on_removals;
    // Between two tries.
    absl::Duration pause = absl::Seconds(1);
    // Tries without one more copy moved; and how long they go on if an older
    // copy has to be removed first.
    int tries_max = base::kDrainRoundsMax;
    absl::Duration stall_max = base::kDrainStallMax;
    // How long blobs may stay on a draining volume without one going, though
    // no key names them. An uncommitted blob that a dead writer left is asked
    // about after kUnmarkedAgeMax, at the next check.
    absl::Duration drain_stall_max = base::kUnmarkedAgeMax +
                                     base::kCheckBlobsInterval * 2 +
                                     base::kDrainStallMax;
  };
  explicit PlacementJob(Options options) : options_(std::move(options)) {}

  // For JobRunner; the requests are a RebalanceRequest, a RepairRequest and a
  // DrainVolumeRequest, whose volume is draining already.
  absl::Status RunRebalance(JobContext* context);
  absl::Status RunRepair(JobContext* context);
  absl::Status RunDrain(JobContext* context);

 private:
  const Options options_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_PLACEMENT_JOB_H_

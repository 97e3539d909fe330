// The master, put together: index, cluster map, write path, jobs, services.

#ifndef CAIRN_MASTER_MASTER_H_
#define CAIRN_MASTER_MASTER_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/version_clock.h"
#include "client/store_client.h"
#include "index/index_store.h"
#include "master/admin_service.h"
#include "master/batch_handler.h"
#include "master/cluster_state.h"
#include "master/commit_queue.h"
#include "master/delete_coordinator.h"
#include "master/held_blobs.h"
#include "master/in_process_metadata.h"
#include "master/index_clock.h"
#include "master/index_mark.h"
#include "master/jobs/auto_repair.h"
#include "master/jobs/background_verify.h"
#include "master/jobs/blob_mover.h"
#include "master/jobs/copy_agents.h"
#include "master/jobs/job_runner.h"
#include "master/jobs/merge_job.h"
#include "master/jobs/placement_job.h"
#include "master/jobs/rebuild_job.h"
#include "master/jobs/verify_job.h"
#include "master/jobs/volume_confirmation.h"
#include "master/jobs/volume_removal.h"
#include "master/lease_table.h"
#include "master/membership.h"
#include "master/metadata_service.h"
#include "master/pooled_agents.h"
#include "master/removal_job.h"
#include "master/store_service.h"
#include "rpc/batch_server.h"
#include "rpc/event_loop.h"

namespace cairn::master {

// For one thread, but for server().
class Master {
 public:
  struct Options {
    ClusterSettings settings;
    std::string listen_address;  // host:port
    // When copies are made again by themselves, and how fast; zero: never, and
    // without a limit.
    absl::Duration repair_after = base::kRepairAfterDefault;
    int64_t repair_bytes_per_second_max = base::kRepairRateDefault;
    // A full round of the background verify; zero: none.
    absl::Duration verify_every;
  };
  // Reads what the index knows of the cluster and starts to serve. `index`
  // outlives the master. kInvalidArgument, kFailedPrecondition: a sentence
  // for the operator.
  static absl::StatusOr<std::unique_ptr<Master>> Start(index::IndexStore* index,
                                                       const Options& options);
  ~Master();

  // Answers what is under way, at most for about `timeout`, then ends.
  void Stop(absl::Duration timeout);

  grpc::Server* server() { return server_.get(); }

 private:
  explicit Master(index::IndexStore* index) : index_(index) {}
  absl::Status Open(const ClusterSettings& settings);
  void MakeWritePath();
  absl::Status MakeJobs(const Options& options);
  void MakeMergeJob();
  void MakePlacementJobs();
  absl::Status Serve(grpc::ServerBuilder* builder,
                     const std::string& listen_address);
  absl::Status CheckMutation(const index::Mutation& mutation);
  // What happens a few times a second.
  void KeepTime();
  void KeepTimeOnce(bool heartbeat);

  index::IndexStore* const index_;
  std::unique_ptr<IndexClock> clock_;
  std::unique_ptr<IndexMark> mark_;
  std::unique_ptr<VolumeMarks> volume_marks_;
  // There may have been one, whose clients hold leases.
  bool earlier_master_ = false;
  base::VersionClock versions_;  // Of the master's own writes.
  int64_t fencing_number_ = 0;
  std::unique_ptr<Membership> membership_;
  // Serves the clients' batches and hears the agents' answers.
  std::unique_ptr<rpc::EventLoop> loop_;
  std::unique_ptr<PooledAgents> agents_;
  HeldBlobs held_;
  std::unique_ptr<RemovalJob> removals_;
  std::unique_ptr<LeaseTable> leases_;
  std::unique_ptr<CommitQueue> commits_;
  std::unique_ptr<DeleteCoordinator> deletes_;
  std::unique_ptr<InProcessMetadata> metadata_;
  std::unique_ptr<client::StoreClient> store_;
  std::unique_ptr<BatchHandler> batches_;
  std::unique_ptr<MetadataService> metadata_service_;
  std::unique_ptr<RebuildJob> rebuild_;
  std::unique_ptr<VerifyJob> verify_;
  std::unique_ptr<CopyAgents> copies_;
  std::unique_ptr<BlobMover> mover_;
  std::unique_ptr<PlacementJob> placement_;
  std::unique_ptr<VolumeRemoval> volume_removal_;
  std::unique_ptr<JobRunner> jobs_;
  std::unique_ptr<AutoRepair> auto_repair_;
  std::unique_ptr<BackgroundVerify> background_verify_;
  std::unique_ptr<MergeJob> merge_;
  std::unique_ptr<VolumeConfirmation> confirmation_;
  std::unique_ptr<AdminService> admin_service_;
  std::unique_ptr<StoreService> store_service_;
  std::unique_ptr<rpc::BatchServer<v1::BatchRequest, v1::BatchResponse>>
      batch_server_;
  std::unique_ptr<grpc::Server> server_;

  base::Mutex mu_;
  base::CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread keeper_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_MASTER_H_

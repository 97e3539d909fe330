// AdminService over gRPC: what an operator asks of the master.

#ifndef CAIRN_MASTER_ADMIN_SERVICE_H_
#define CAIRN_MASTER_ADMIN_SERVICE_H_

#include "index/index_store.h"
#include "master/jobs/auto_repair.h"
#include "master/jobs/job_runner.h"
#include "master/jobs/volume_removal.h"
#include "master/membership.h"
#include "proto/cairn/v1/admin.grpc.pb.h"

namespace cairn::master {

class AdminService final : public v1::AdminService::Service {
 public:
  // All outlive the service.
  AdminService(index::IndexStore* index, Membership* membership,
               JobRunner* jobs, VolumeRemoval* removal, AutoRepair* repair)
      : index_(index),
        membership_(membership),
        jobs_(jobs),
        removal_(removal),
        repair_(repair) {}

  grpc::Status GetStatus(grpc::ServerContext* context,
                         const v1::GetStatusRequest* request,
                         v1::GetStatusResponse* response) override;
  // The page token is the id of the last volume of the page before.
  grpc::Status ListVolumes(grpc::ServerContext* context,
                           const v1::ListVolumesRequest* request,
                           v1::ListVolumesResponse* response) override;

  grpc::Status Verify(grpc::ServerContext* context,
                      const v1::VerifyRequest* request,
                      grpc::ServerWriter<v1::JobProgress>* writer) override;
  grpc::Status Rebuild(grpc::ServerContext* context,
                       const v1::RebuildRequest* request,
                       grpc::ServerWriter<v1::JobProgress>* writer) override;
  grpc::Status Rebalance(grpc::ServerContext* context,
                         const v1::RebalanceRequest* request,
                         grpc::ServerWriter<v1::JobProgress>* writer) override;
  grpc::Status Repair(grpc::ServerContext* context,
                      const v1::RepairRequest* request,
                      grpc::ServerWriter<v1::JobProgress>* writer) override;
  grpc::Status DrainVolume(
      grpc::ServerContext* context, const v1::DrainVolumeRequest* request,
      grpc::ServerWriter<v1::JobProgress>* writer) override;
  grpc::Status UndrainVolume(grpc::ServerContext* context,
                             const v1::UndrainVolumeRequest* request,
                             v1::UndrainVolumeResponse* response) override;
  grpc::Status RemoveVolume(grpc::ServerContext* context,
                            const v1::RemoveVolumeRequest* request,
                            v1::RemoveVolumeResponse* response) override;
  grpc::Status ListJobs(grpc::ServerContext* context,
                        const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status CancelJob(grpc::ServerContext* context,
                         const v1::CancelJobRequest* request,
                         v1::CancelJobResponse* response) override;

 private:
  // Starts or joins a job and streams how it is until it has ended.
  grpc::Status RunJob(grpc::ServerContext* context, v1::JobKind kind,
                      const v1::JobOptions& options, std::string request,
                      grpc::ServerWriter<v1::JobProgress>* writer);

  // The drain that runs; nullptr: none. `*volume_id`: of which volume.
  JobRunner::JobPtr RunningDrain(uint32_t* volume_id);
  // OK: the drain of this volume may start, or be joined.
  absl::Status PrepareDrain(uint32_t volume_id, bool dry_run);
  grpc::Status Diff(grpc::ServerContext* context,
                    const v1::RebuildRequest& request,
                    grpc::ServerWriter<v1::JobProgress>* writer);

  index::IndexStore* const index_;
  Membership* const membership_;
  JobRunner* const jobs_;
  VolumeRemoval* const removal_;
  AutoRepair* const repair_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_ADMIN_SERVICE_H_

// AdminService over gRPC: what an operator asks of the master.

#ifndef CAIRN_MASTER_ADMIN_SERVICE_H_
#define CAIRN_MASTER_ADMIN_SERVICE_H_

#include "index/index_store.h"
#include "master/jobs/job_runner.h"
#include "master/membership.h"
#include "proto/cairn/v1/admin.grpc.pb.h"

namespace cairn::master {

class AdminService final : public v1::AdminService::Service {
 public:
  // All outlive the service.
  AdminService(index::IndexStore* index, Membership* membership,
               JobRunner* jobs)
      : index_(index), membership_(membership), jobs_(jobs) {}

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

  index::IndexStore* const index_;
  Membership* const membership_;
  JobRunner* const jobs_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_ADMIN_SERVICE_H_

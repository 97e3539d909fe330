// AdminService over gRPC: what an operator asks of the master.

#ifndef CAIRN_MASTER_ADMIN_SERVICE_H_
#define CAIRN_MASTER_ADMIN_SERVICE_H_

#include "index/index_store.h"
#include "master/membership.h"
#include "proto/cairn/v1/admin.grpc.pb.h"

namespace cairn::master {

class AdminService final : public v1::AdminService::Service {
 public:
  // Both outlive the service.
  AdminService(index::IndexStore* index, Membership* membership)
      : index_(index), membership_(membership) {}

  grpc::Status GetStatus(grpc::ServerContext* context,
                         const v1::GetStatusRequest* request,
                         v1::GetStatusResponse* response) override;
  // The page token is the id of the last volume of the page before.
  grpc::Status ListVolumes(grpc::ServerContext* context,
                           const v1::ListVolumesRequest* request,
                           v1::ListVolumesResponse* response) override;

 private:
  index::IndexStore* const index_;
  Membership* const membership_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_ADMIN_SERVICE_H_

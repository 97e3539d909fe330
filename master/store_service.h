// StoreService over gRPC, for other services' generated stubs: values in and
// out through client::StoreClient, as the gateway does it.

#ifndef CAIRN_MASTER_STORE_SERVICE_H_
#define CAIRN_MASTER_STORE_SERVICE_H_

#include "client/store_client.h"
#include "proto/cairn/v1/store.grpc.pb.h"
#include "rpc/event_loop.h"

namespace cairn::master {

class StoreService final : public v1::StoreService::Service {
 public:
  // `store` and `loop`, which ticks for the stall guards, outlive the service.
  StoreService(client::StoreClient* store, rpc::EventLoop* loop)
      : store_(store), loop_(loop) {}

  grpc::Status Put(grpc::ServerContext* context,
                   grpc::ServerReader<v1::PutRequest>* reader,
                   v1::PutResponse* response) override;
  grpc::Status Get(grpc::ServerContext* context, const v1::GetRequest* request,
                   grpc::ServerWriter<v1::GetResponse>* writer) override;
  grpc::Status Stat(grpc::ServerContext* context,
                    const v1::StatRequest* request,
                    v1::StatResponse* response) override;
  grpc::Status Delete(grpc::ServerContext* context,
                      const v1::DeleteRequest* request,
                      v1::DeleteResponse* response) override;
  grpc::Status List(grpc::ServerContext* context,
                    const v1::ListRequest* request,
                    v1::ListResponse* response) override;

 private:
  client::StoreClient* const store_;
  rpc::EventLoop* const loop_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_STORE_SERVICE_H_

// MetadataService over gRPC: translates, and no more. Batch is asynchronous
// (see BatchHandler); the other methods run on gRPC's own threads.

#ifndef CAIRN_MASTER_METADATA_SERVICE_H_
#define CAIRN_MASTER_METADATA_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <functional>

#include "index/index_store.h"
#include "master/held_blobs.h"
#include "master/membership.h"
#include "proto/cairn/v1/metadata.grpc.pb.h"

namespace cairn::master {

class MetadataService final : public v1::MetadataService::WithAsyncMethod_Batch<
                                  v1::MetadataService::Service> {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // All outlive the service.
    Membership* membership = nullptr;
    std::function<int64_t()> now_ms;  // The index's clock.
    HeldBlobs* held = nullptr;        // What jobs make just now.
  };
  explicit MetadataService(Options options) : options_(std::move(options)) {}

  grpc::Status WatchClusterMap(
      grpc::ServerContext* context, const v1::WatchClusterMapRequest* request,
      grpc::ServerWriter<v1::WatchClusterMapResponse>* writer) override;
  grpc::Status ListKeys(grpc::ServerContext* context,
                        const v1::ListKeysRequest* request,
                        v1::ListKeysResponse* response) override;
  grpc::Status Join(grpc::ServerContext* context,
                    const v1::JoinRequest* request,
                    v1::JoinResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext* context,
                         const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override;
  grpc::Status CheckBlobs(grpc::ServerContext* context,
                          const v1::CheckBlobsRequest* request,
                          v1::CheckBlobsResponse* response) override;

  // Ends the watches, now and later. Call before the server is shut down.
  void StopWatches();

 private:
  const Options options_;
  // A watch looks at it at least every kWatchPoll.
  std::atomic<bool> stopping_{false};
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_METADATA_SERVICE_H_

// VolumeService on gRPC: translates between messages and the blob store.

#ifndef CAIRN_VOLUME_VOLUME_SERVICE_H_
#define CAIRN_VOLUME_VOLUME_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "proto/cairn/v1/volume.grpc.pb.h"
#include "rpc/batch_server.h"
#include "volume/batch_copier.h"
#include "volume/blob_store.h"
#include "volume/group_committer.h"
#include "volume/volume_directory.h"

namespace cairn::volume {

// Batch is served asynchronously, on a thread of its own, the others by gRPC's
// threads. Thread safety: any method from any thread.
class VolumeServer
    : private rpc::BatchHandler<v1::BlobBatchRequest, v1::BlobBatchResponse> {
 public:
  // All must outlive the server.
  VolumeServer(BlobStore* store, GroupCommitter* committer,
               VolumeDirectory* directory);
  ~VolumeServer() override;

  // kFailedPrecondition: `address` is in use.
  absl::Status Start(const std::string& address);

  // Before the volume has joined its cluster calls wait for it, up to a second
  // (the master knows of it a moment before the agent), then are kUnavailable.
  void SetJoined();

  // Refuses new writes, waits at most `grace` for uploads under way, answers
  // what waits in the committer (which it drains), ends all streams.
  void Stop(absl::Duration grace);

  // Uploads that this agent is receiving.
  int uploads() const;

 private:
  using Request = v1::BlobBatchRequest;
  using Response = v1::BlobBatchResponse;
  class Service;
  class StreamSink;

  void OnRequest(const Stream& stream, Request* request) override;
  void OnClosed(const Stream& stream) override;

  // OK: the call is meant for this volume, which takes calls now.
  absl::Status CheckCall(uint32_t volume_id, bool write);
  bool WaitJoined();
  // One of kUploadsMax; false: all are taken.
  bool StartUpload();
  void EndUpload();

  BlobStore* const store_;
  GroupCommitter* const committer_;
  VolumeDirectory* const directory_;
  const std::unique_ptr<BatchCopier> copier_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<rpc::EventLoop> loop_;
  std::unique_ptr<rpc::BatchServer<Request, Response>> batches_;
  std::unique_ptr<grpc::Server> server_;
  // Each is a flag that is set once; nothing else is read because of it.
  std::atomic<bool> joined_{false};
  std::atomic<bool> stopping_{false};

  mutable base::Mutex mu_;
  base::CondVar uploads_changed_;
  base::CondVar joined_changed_;
  int uploads_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_VOLUME_SERVICE_H_

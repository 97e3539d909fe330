// AgentClient speaks to one volume agent: batches of small operations, large
// uploads, reads. Used by StoreClient and by the master's jobs.

#ifndef CAIRN_CLIENT_AGENT_CLIENT_H_
#define CAIRN_CLIENT_AGENT_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/hash.h"
#include "base/mutex.h"
#include "base/version.h"
#include "client/piece.h"
#include "client/store_client.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/volume.grpc.pb.h"
#include "proto/cairn/v1/volume.pb.h"
#include "rpc/event_loop.h"
#include "rpc/op_lane.h"

namespace cairn::client {

// One large blob on its way to one agent. Thread safety: any method from any
// thread. Dropping the last reference cancels an upload that is not finished.
class BlobUpload {
 public:
  virtual ~BlobUpload() = default;
  // Queues a piece. Returns how many wait now.
  virtual int Write(Piece piece) = 0;
  // Ends the blob; `done` of the upload is called when the agent has answered.
  virtual void Finish(const v1::PutBlobRequest::Trailer& trailer) = 0;
  virtual int pieces_waiting() = 0;
  // True: the agent receives the blob. Before, it may still refuse it.
  virtual bool accepted() = 0;
  virtual void Cancel() = 0;
};

// Thread safety: any method from any thread. Nothing blocks. `done` is called
// exactly once, on the loop's thread or from within the call.
class AgentClient {
 public:
  using Done = std::function<void(absl::Status)>;

  // `loop` must outlive the client.
  AgentClient(rpc::EventLoop* loop, uint32_t volume_id,
              const std::string& grpc_address);
  ~AgentClient();
  AgentClient(const AgentClient&) = delete;
  AgentClient& operator=(const AgentClient&) = delete;

  uint32_t volume_id() const { return volume_id_; }
  const std::string& grpc_address() const { return grpc_address_; }
  // True while the last attempt to connect has failed.
  bool down() { return lane_->down(); }

  // Small operations; the status is that of BlobOpResult, or kUnavailable /
  // kDeadlineExceeded when there was no answer: the outcome is unknown then.
  void Put(v1::SmallPutOp op, absl::Time deadline, Done done);
  void Rename(v1::RenameOp op, absl::Time deadline, Done done);
  void Unlink(v1::UnlinkOp op, absl::Time deadline, Done done);
  // Told with the next batch; not answered.
  void MarkCommitted(const v1::BlobId& blob);

  // `progress` is called when the agent has accepted the blob and when a piece
  // has left; `done` once, in the end.
  std::shared_ptr<BlobUpload> Upload(const v1::PutBlobRequest::Header& header,
                                     std::function<void()> progress, Done done);

  std::unique_ptr<BlobReader> Read(const v1::BlobId& blob, int64_t offset,
                                   int64_t length);

 private:
  using Lane = rpc::OpLane<v1::BlobBatchRequest, v1::BlobBatchResponse,
                           v1::BlobOpResult>;
  void Submit(Lane::Add add, int64_t bytes, absl::Time deadline, Done done);

  rpc::EventLoop* const loop_;
  const uint32_t volume_id_;
  const std::string grpc_address_;
  // Batches and bytes on connections of their own: a large upload must not
  // hold up small operations.
  const std::shared_ptr<grpc::Channel> batch_channel_;
  const std::shared_ptr<grpc::Channel> bytes_channel_;
  const std::unique_ptr<v1::VolumeService::Stub> batch_stub_;
  const std::unique_ptr<v1::VolumeService::Stub> bytes_stub_;
  std::shared_ptr<Lane> lane_;
};

// The agents of a cluster, connected when first asked for, again when their
// address has changed. Thread safety: any method from any thread.
class AgentPool {
 public:
  explicit AgentPool(rpc::EventLoop* loop) : loop_(loop) {}

  // nullptr: the map has no such volume, or one without an address.
  std::shared_ptr<AgentClient> Get(const v1::ClusterMap& map,
                                   uint32_t volume_id);

 private:
  rpc::EventLoop* const loop_;
  base::Mutex mu_;
  absl::flat_hash_map<uint32_t, std::shared_ptr<AgentClient>> agents_
      ABSL_GUARDED_BY(mu_);
};

v1::BlobId MakeBlobId(absl::string_view key, const v1::SubvolumeId& where,
                      const v1::Version& version, bool tombstone);

}  // namespace cairn::client

#endif  // CAIRN_CLIENT_AGENT_CLIENT_H_

#include "client/agent_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "client/blob_reader.h"
#include "client/blob_upload.h"
#include "placement/placement.h"
#include "proto/convert.h"
#include "rpc/server.h"

namespace cairn::client {

AgentClient::AgentClient(rpc::EventLoop* loop, uint32_t volume_id,
                         const std::string& grpc_address)
    : loop_(loop),
      volume_id_(volume_id),
      grpc_address_(grpc_address),
      batch_channel_(rpc::NewChannel(grpc_address, "batch")),
      bytes_channel_(rpc::NewChannel(grpc_address, "bytes")),
      batch_stub_(v1::VolumeService::NewStub(batch_channel_)),
      bytes_stub_(v1::VolumeService::NewStub(bytes_channel_)) {
  Lane::Options options;
  options.loop = loop;
  options.peer =
      absl::StrCat("volume ", VolumeIdText(volume_id), " at ", grpc_address);
  // The stub lives as long as the lane may call it: Stop() is the last thing
  // this object does, and no stream starts after it.
  options.prepare = [stub = batch_stub_.get()](grpc::ClientContext* context,
                                               grpc::CompletionQueue* cq) {
    return stub->PrepareAsyncBatch(context, cq);
  };
  options.envelope = [volume_id](v1::BlobBatchRequest* request) {
    request->set_volume_id(volume_id);
  };
  lane_ = std::make_shared<Lane>(std::move(options));
  lane_->Start();
}

AgentClient::~AgentClient() { lane_->Stop(); }

void AgentClient::Submit(Lane::Add add, int64_t bytes, absl::Time deadline,
                         Done done) {
  lane_->Submit(
      std::move(add), bytes, /*repeat=*/false, deadline,
      [done = std::move(done)](const absl::StatusOr<v1::BlobOpResult>& result) {
        done(result.ok() ? StatusFromCode(result->code(), result->message())
                         : result.status());
      });
}

void AgentClient::Put(v1::SmallPutOp op, absl::Time deadline, Done done) {
  const int64_t bytes = op.data().size();
  Submit(
      [op = std::move(op)](int64_t id, v1::BlobBatchRequest* request) mutable {
        op.set_op_id(id);
        request->add_puts()->Swap(&op);
      },
      bytes, deadline, std::move(done));
}

void AgentClient::Rename(v1::RenameOp op, absl::Time deadline, Done done) {
  Submit(
      [op = std::move(op)](int64_t id, v1::BlobBatchRequest* request) mutable {
        op.set_op_id(id);
        request->add_renames()->Swap(&op);
      },
      0, deadline, std::move(done));
}

void AgentClient::Unlink(v1::UnlinkOp op, absl::Time deadline, Done done) {
  Submit(
      [op = std::move(op)](int64_t id, v1::BlobBatchRequest* request) mutable {
        op.set_op_id(id);
        request->add_unlinks()->Swap(&op);
      },
      0, deadline, std::move(done));
}

void AgentClient::MarkCommitted(const v1::BlobId& blob) {
  lane_->SubmitUnhurried([blob](int64_t, v1::BlobBatchRequest* request) {
    *request->add_committed() = blob;
  });
}

std::shared_ptr<BlobUpload> AgentClient::Upload(
    const v1::PutBlobRequest::Header& header, std::function<void()> progress,
    Done done) {
  return StartBlobUpload(loop_, bytes_channel_, header, std::move(progress),
                         std::move(done));
}

std::unique_ptr<BlobReader> AgentClient::Read(const v1::BlobId& blob,
                                              int64_t offset, int64_t length) {
  v1::GetBlobRequest request;
  request.set_volume_id(volume_id_);
  *request.mutable_blob() = blob;
  request.set_offset(offset);
  request.set_length(length);
  return StartBlobReader(loop_, bytes_stub_.get(), request);
}

std::shared_ptr<AgentClient> AgentPool::Get(const v1::ClusterMap& map,
                                            uint32_t volume_id) {
  const v1::Volume* volume = placement::FindVolume(map, volume_id);
  if (volume == nullptr || volume->grpc_address().empty()) return nullptr;
  std::shared_ptr<AgentClient> old;  // Destroyed after the lock is released.
  base::MutexLock lock(&mu_);
  std::shared_ptr<AgentClient>& agent = agents_[volume_id];
  if (agent == nullptr || agent->grpc_address() != volume->grpc_address()) {
    old = std::move(agent);
    agent =
        std::make_shared<AgentClient>(loop_, volume_id, volume->grpc_address());
  }
  return agent;
}

v1::BlobId MakeBlobId(absl::string_view key, const v1::SubvolumeId& where,
                      const v1::Version& version, bool tombstone) {
  v1::BlobId blob;
  blob.set_subvolume(where.subvolume());
  blob.set_key(std::string(key));
  *blob.mutable_version() = version;
  blob.set_tombstone(tombstone);
  return blob;
}

}  // namespace cairn::client

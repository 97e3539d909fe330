// A large blob to one agent, over VolumeService.Put, without copying bytes.

#ifndef CAIRN_CLIENT_BLOB_UPLOAD_H_
#define CAIRN_CLIENT_BLOB_UPLOAD_H_

#include <functional>
#include <memory>

#include "client/agent_client.h"

namespace cairn::client {

// See AgentClient::Upload(). The upload has a deadline that each piece that
// leaves moves on (kBlobPieceDeadline); `done` then gets kDeadlineExceeded.
std::shared_ptr<BlobUpload> StartBlobUpload(
    rpc::EventLoop* loop, const std::shared_ptr<grpc::Channel>& channel,
    const v1::PutBlobRequest::Header& header, std::function<void()> progress,
    AgentClient::Done done);

}  // namespace cairn::client

#endif  // CAIRN_CLIENT_BLOB_UPLOAD_H_

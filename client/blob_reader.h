// Streams one blob from an agent over VolumeService.Get.

#ifndef CAIRN_CLIENT_BLOB_READER_H_
#define CAIRN_CLIENT_BLOB_READER_H_

#include <memory>

#include "client/store_client.h"
#include "proto/cairn/v1/volume.grpc.pb.h"
#include "proto/cairn/v1/volume.pb.h"
#include "rpc/event_loop.h"

namespace cairn::client {

// `loop` and `stub` must outlive the stream, which ends soon after the reader
// is destroyed.
std::unique_ptr<BlobReader> StartBlobReader(rpc::EventLoop* loop,
                                            v1::VolumeService::Stub* stub,
                                            const v1::GetBlobRequest& request);

// A reader that only ever answers `status`.
std::unique_ptr<BlobReader> FailedBlobReader(absl::Status status);

}  // namespace cairn::client

#endif  // CAIRN_CLIENT_BLOB_READER_H_

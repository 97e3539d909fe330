// Small blobs on their way from one agent to another, many in one call.

#ifndef CAIRN_VOLUME_BATCH_COPIER_H_
#define CAIRN_VOLUME_BATCH_COPIER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "proto/cairn/v1/volume.grpc.pb.h"
#include "volume/blob_store.h"
#include "volume/group_committer.h"

namespace cairn::volume {

// The agent that copies. Thread safety: any method from any thread.
class BatchCopier {
 public:
  // `committer` outlives the copier.
  explicit BatchCopier(GroupCommitter* committer) : committer_(committer) {}

  // Executes CopyBlobs (volume.proto), whose fencing number has been checked.
  // Blocks until `deadline` at most, but for the disk.
  absl::Status Copy(const v1::CopyBlobsRequest& request,
                    std::chrono::system_clock::time_point deadline,
                    v1::CopyBlobsResponse* response);

 private:
  // A connection that is kept: to make one costs as much as a group.
  std::shared_ptr<v1::VolumeService::Stub> PeerAt(const std::string& address);

  GroupCommitter* const committer_;
  base::Mutex mu_;
  // By address; few, since volumes seldom move.
  std::map<std::string, std::shared_ptr<v1::VolumeService::Stub>> peers_
      ABSL_GUARDED_BY(mu_);
};

// The agent that is read from: executes ReadBlobs. `write` sends a message;
// false: the reader is gone. kInvalidArgument: too many blobs.
absl::Status ReadBlobs(
    BlobStore* store, const v1::ReadBlobsRequest& request,
    const std::function<bool(const v1::ReadBlobsResponse&)>& write);

// Has the committer execute the operations of `batch`, whose ids are 1, 2, ...;
// returns their results in that order. Blocks.
std::vector<v1::BlobOpResult> RunBatch(GroupCommitter* committer,
                                       v1::BlobBatchRequest* batch);

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_BATCH_COPIER_H_

// Has one volume check its blobs, and mends what is wrong with them.

#ifndef CAIRN_MASTER_JOBS_VOLUME_CHECKER_H_
#define CAIRN_MASTER_JOBS_VOLUME_CHECKER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/cairn/v1/volume.grpc.pb.h"

namespace cairn::master {

// Thread safety: any method from any thread. All block. kUnavailable,
// kDeadlineExceeded: the agent does not answer.
class VolumeChecker {
 public:
  VolumeChecker(uint32_t volume_id, const std::string& grpc_address);

  // OK: `response` has a result for each blob.
  absl::Status Verify(v1::VerifyBlobsRequest request, absl::Duration timeout,
                      v1::VerifyBlobsResponse* response);

  // Calls `each` with every blob of a subvolume, a page at a time; ends with
  // the first status of it that is not OK.
  absl::Status List(
      int subvolume,
      const std::function<absl::Status(const v1::ListBlobsResponse&)>& each);

  // What the volume knows of its cluster.
  absl::Status GetState(v1::GetVolumeStateResponse* response);

  // Whether there is such a file.
  absl::StatusOr<bool> Exists(const v1::BlobId& blob);

  // Removes a blob that is corrupt; OK: it is gone, durably.
  absl::Status Remove(const v1::BlobId& blob, int64_t fencing_number);

  // Has the volume pull `blob` from a peer. OK: it is on disk, whole.
  absl::Status Pull(v1::CopyBlobRequest request, absl::Duration timeout);

 private:
  const uint32_t volume_id_;
  const std::unique_ptr<v1::VolumeService::Stub> stub_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_VOLUME_CHECKER_H_

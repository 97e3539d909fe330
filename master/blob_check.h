// Answers "which of these blobs does the index want?" for agents.

#ifndef CAIRN_MASTER_BLOB_CHECK_H_
#define CAIRN_MASTER_BLOB_CHECK_H_

#include <vector>

#include "absl/status/statusor.h"
#include "index/index_store.h"
#include "master/held_blobs.h"
#include "proto/cairn/v1/metadata.pb.h"

namespace cairn::master {

// One verdict for each blob, in order. REQUIRES: the index is not lost; a blob
// of an acknowledged write would be disowned. kUnavailable: no verdict at all.
// A blob is disowned only when its version can never be committed any more
// (kUnmarkedAgeMax is twice what the index accepts) or when it waits in the
// removal queue, and never while a job makes it (`held`, may be nullptr).
// Blocks.
absl::StatusOr<std::vector<v1::CheckBlobsResponse::Verdict>> CheckBlobs(
    index::IndexStore* index, const v1::CheckBlobsRequest& request,
    int64_t index_time_ms, HeldBlobs* held = nullptr);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_BLOB_CHECK_H_

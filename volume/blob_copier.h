// Pulls a blob from a peer agent, for jobs.

#ifndef CAIRN_VOLUME_BLOB_COPIER_H_
#define CAIRN_VOLUME_BLOB_COPIER_H_

#include <chrono>

#include "absl/status/status.h"
#include "proto/cairn/v1/volume.pb.h"
#include "volume/blob_store.h"

namespace cairn::volume {

// OK: the blob is here under its name, whole and synced, not marked. Blocks
// for as long as the bytes take, at most until `deadline`.
// kNotFound: the peer has no such blob. kDataLoss: what it sent is not what it
// has recorded, or its blob is not whole.
absl::Status CopyBlob(BlobStore* store, const v1::CopyBlobRequest& request,
                      std::chrono::system_clock::time_point deadline);

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_BLOB_COPIER_H_

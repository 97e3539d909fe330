// Checks one blob against what the index says of it. Changes nothing.

#ifndef CAIRN_VOLUME_BLOB_VERIFIER_H_
#define CAIRN_VOLUME_BLOB_VERIFIER_H_

#include <functional>

#include "proto/cairn/v1/volume.pb.h"
#include "volume/blob_store.h"

namespace cairn::volume {

// Reads the whole blob, unless `attributes_only`. `go_on` is asked before each
// piece; once it is false the blob counts as unreadable. Blocks on the disk.
v1::VerifiedBlob VerifyBlob(BlobStore* store, const v1::ExpectedBlob& expected,
                            bool attributes_only,
                            const std::function<bool()>& go_on);

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_BLOB_VERIFIER_H_

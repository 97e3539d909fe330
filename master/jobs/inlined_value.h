// A blob made again from the value that the index keeps too: the way back for a
// key of which no copy is left.

#ifndef CAIRN_MASTER_JOBS_INLINED_VALUE_H_
#define CAIRN_MASTER_JOBS_INLINED_VALUE_H_

#include <string>

#include "index/index_store.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/volume.pb.h"

namespace cairn::master {

// Whether `found` has its value, and that matches its hash.
bool HasGoodValue(const index::Found& found);

// Writes the blob, synced; the agent checks the value against the hash of
// `record`. `committed`: the index names the blob there already.
v1::SmallPutOp PutOf(const v1::BlobId& blob, const v1::Record& record,
                     const std::string& value, bool committed);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_INLINED_VALUE_H_

// What becomes of one blob of a volume that is listed after the index was made:
// the rule of blob_merge.h for a single copy. Pure functions.

#ifndef CAIRN_MASTER_JOBS_BLOB_ADOPTION_H_
#define CAIRN_MASTER_JOBS_BLOB_ADOPTION_H_

#include <cstdint>

#include "index/index_store.h"
#include "master/jobs/blob_merge.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::master {

struct Adoption {
  enum class Kind {
    kNothing,  // It is known, or its agent asks about it later.
    kCommit,   // `mutation` takes it in.
    kRemove,   // It enters the removal queue.
    kDamaged,  // It is the newest of its key, and not whole: it stays.
  };
  Kind kind = Kind::kNothing;
  index::Mutation mutation;
};

// `current` is the key's record, a tombstone included; nullptr: it has none.
// A committed blob above it becomes the key's; one of its version is a replica
// more, up to `replicas`, at most one for each volume.
Adoption Adopt(const v1::Record* current, const FoundBlob& blob, int replicas);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_BLOB_ADOPTION_H_

// What must hold of a commit before the index is asked: the master trusts no
// client to keep the limits or to know the newest map.

#ifndef CAIRN_MASTER_COMMIT_CHECK_H_
#define CAIRN_MASTER_COMMIT_CHECK_H_

#include "absl/status/status.h"
#include "index/index_store.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::master {

// OK, or kInvalidArgument: the key, metadata, digest or inlined value break a
// limit; the replicas are not R distinct volumes of `map` that are not
// removed. Never kFailedPrecondition: that is the client's own condition.
absl::Status CheckPut(const v1::ClusterMap& map,
                      const index::Mutation& mutation);

// OK: the replicas lie on distinct volumes of `map`, on subvolumes that there
// are. kInvalidArgument; kFailedPrecondition: a volume was removed.
absl::Status CheckPlaces(const v1::ClusterMap& map, const v1::Record& record);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_COMMIT_CHECK_H_

// The cluster map of a lost index, from the copies that the volumes keep.

#ifndef CAIRN_MASTER_JOBS_RECOVERED_MAP_H_
#define CAIRN_MASTER_JOBS_RECOVERED_MAP_H_

#include <vector>

#include "absl/status/statusor.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/volume.pb.h"

namespace cairn::master {

struct VolumeReport {
  v1::Volume volume;  // As it has joined.
  v1::GetVolumeStateResponse state;
};

// The newest map of the cluster that `reports` are of, with those of them that
// it does not know, the ids of all volumes that were ever removed, and the
// settings of `own` that may change at a start. Volumes that are not among
// `reports` are down. `own` is the map of the index as it was found. A report
// without a cluster is passed over.
// kFailedPrecondition, with a sentence for the operator: the reports are of
// several clusters; R or the number of subvolumes are not those of `own`, which
// come from the master's flags; no volume of a cluster is there.
absl::StatusOr<v1::ClusterMap> RecoverMap(
    const v1::ClusterMap& own, const std::vector<VolumeReport>& reports);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_RECOVERED_MAP_H_

// What the index remembers of the cluster itself: its id, its fixed settings
// and its map.

#ifndef CAIRN_MASTER_CLUSTER_STATE_H_
#define CAIRN_MASTER_CLUSTER_STATE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/index_store.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::master {

// With what the master was started.
struct ClusterSettings {
  // Fixed for the life of a cluster.
  int replicas = 2;
  int subvolumes_per_volume = 4;
  // May differ at each start.
  v1::Durability durability = v1::DURABILITY_FSYNC;
  int64_t inline_bytes_max = 0;
};

// The map that the index holds, with the settings that may differ taken over.
// In a blank index makes a cluster: draws an id and stores the map, with no
// volumes. kInvalidArgument: the index was made with another number of
// replicas or subvolumes; the message names both. Blocks.
absl::StatusOr<v1::ClusterMap> OpenCluster(index::IndexStore* index,
                                           const ClusterSettings& settings);

// Durable when it returns OK. Blocks.
absl::Status StoreMap(index::IndexStore* index, const v1::ClusterMap& map);

// True once R volumes have joined: from then on the index is known to be that
// of a cluster in use.
bool IsFormed(const v1::ClusterMap& map);

// The map as everyone but gateways may see it.
v1::ClusterMap WithoutSecrets(const v1::ClusterMap& map);

// Share of the data of a volume with these subvolumes: GiB of capacity, at
// least 1. `current` (0: none) is kept while the capacity moved by at most a
// tenth: each change of a weight moves data. So does not the failure of a
// disk: it counts as the others do; if all have failed, `current` is kept.
int64_t WeightOf(const v1::Volume& volume, int64_t current);

// True when `a` and `b` differ at most in how many bytes are there and free.
bool SameButFill(const v1::Volume& a, const v1::Volume& b);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_CLUSTER_STATE_H_

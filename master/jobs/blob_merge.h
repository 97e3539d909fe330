// What the index must hold, decided from the blobs that lie on the volumes.
// Pure functions. docs/architecture.md ("Rebuilding the index") has the rule.

#ifndef CAIRN_MASTER_JOBS_BLOB_MERGE_H_
#define CAIRN_MASTER_JOBS_BLOB_MERGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "index/index_store.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/volume.pb.h"

namespace cairn::master {

struct FoundBlob {
  uint32_t volume_id = 0;
  v1::StatBlobResponse stat;  // As the agent lists it; has a key.
};

// The same, in memory of another that outlives the merge.
struct ListedBlob {
  uint32_t volume_id = 0;
  v1::StatBlobResponse* stat = nullptr;
};

struct MergeRules {
  // Some subvolumes were not listed: what lies there may be what is missing to
  // R copies here.
  bool copies_missing = false;
  // By a clock that is not behind the one that gave the versions.
  int64_t now_ms = 0;
};

struct MergeResult {
  // One for each key that has a value or a tombstone; kRestore, in byte order.
  std::vector<index::Mutation> restores;
  // Of keys that get no record.
  std::vector<index::Removal> removals;
  // A sentence for each key whose newest version is damaged.
  std::vector<std::string> problems;
  int64_t keys = 0;
  int64_t tombstones = 0;
  // Those within `restores`, too.
  int64_t removals_count = 0;
  // Of all blobs, taken or not.
  int64_t version_time_ms_max = 0;
  uint32_t writer_id_max = 0;
};

// `blobs`: all copies of the keys concerned, in any order; values are taken out
// of them. Of each key the
// highest version counts, value or tombstone, that has a committed copy or as
// many whole copies as it was written with. Up to `map.replicas()` whole copies
// of it, the best placed first, become its replicas. All else goes to the
// removal queue, but for
// * an uncommitted copy so young that its write may still be under way: the
//   agent asks about it later;
// * all blobs of a key whose version that counts has no whole copy: nothing is
//   decided, so that nothing is lost.
MergeResult MergeBlobs(const v1::ClusterMap& map, const MergeRules& rules,
                       std::vector<ListedBlob> blobs);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_BLOB_MERGE_H_

// Which subvolumes a key belongs on: weighted rendezvous hashing over
// subvolumes, at most one replica per volume. Pure functions.
//
// Each subvolume draws the score -weight / ln(u), where u in (0, 1) is mixed
// from XXH3-64 of the key, volume id and subvolume (Thaler and Ravishankar
// 1998; the logarithm makes the share of each proportional to its weight:
// Schindelhauer and Schomaker 2005). The highest score of a volume is the
// volume's. A new volume takes keys only from others, never shifts them
// between the others. The result must never change for the same arguments:
// blobs would lie where nobody looks first, and a rebalance would move all.

#ifndef CAIRN_PLACEMENT_PLACEMENT_H_
#define CAIRN_PLACEMENT_PLACEMENT_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::placement {

struct Target {
  uint32_t volume_id = 0;
  int32_t subvolume = 0;
  friend bool operator==(const Target& a, const Target& b) {
    return a.volume_id == b.volume_id && a.subvolume == b.subvolume;
  }
};

// All volumes that are not removed or draining, one subvolume each, best
// first; down, full and failed ones included. When the map has two or more
// zones, the first `map.replicas()` entries are spread over as many zones as
// there are. This is where a key belongs ("balanced").
std::vector<Target> Order(const v1::ClusterMap& map, absl::string_view key);

// Whether that subvolume can take a new blob now: volume up and not draining,
// disk neither full nor failed.
bool TakesNewBlobs(const v1::Volume& volume, int subvolume);

// As Order(), but of subvolumes that can take a new blob now. Another subvolume
// of the same volume stands in for a full or failed one.
std::vector<Target> WritableOrder(const v1::ClusterMap& map,
                                  absl::string_view key);

// OK when R volumes can take a new blob now. kUnavailable: too few are up.
// kResourceExhausted: too few because disks are full. The message says how
// many are usable and how to fix it.
absl::Status CheckWritable(const v1::ClusterMap& map);

// The volume of this id, or nullptr.
const v1::Volume* FindVolume(const v1::ClusterMap& map, uint32_t volume_id);

}  // namespace cairn::placement

#endif  // CAIRN_PLACEMENT_PLACEMENT_H_

// Where the copies of a key should go next: what rebalance, drain and repair
// each want of one record. Pure functions.

#ifndef CAIRN_MASTER_JOBS_PLACEMENT_PLAN_H_
#define CAIRN_MASTER_JOBS_PLACEMENT_PLAN_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::master {

// One copy is to be made, from one that is there.
struct PlannedMove {
  v1::SubvolumeId source;  // Volume 0: there is none, but for the index.
  v1::SubvolumeId target;
  // All replicas of the key once it is made.
  std::vector<v1::SubvolumeId> after;
};

struct Plan {
  enum class Kind {
    kNothing,  // All is as it should be, or as well as it can be now.
    kMove,
    kStuck,  // A copy should be made and cannot be; `why` says why.
  };
  Kind kind = Kind::kNothing;
  PlannedMove move;
  std::string why;
};

// Whether a copy there can be read: the volume is up, its disk has not failed.
bool IsReachable(const v1::ClusterMap& map, const v1::SubvolumeId& place);
// And it is known to be there: the volume is not unconfirmed.
bool IsLive(const v1::ClusterMap& map, const v1::SubvolumeId& place);
int LiveCopies(const v1::ClusterMap& map, const v1::Record& record);

// Each plans one move. A key that needs more is planned again when it is done.
//
// To where placement wants the key. A place that takes no blobs now keeps
// nobody waiting: what should go there stays where it is.
Plan PlanRebalance(const v1::ClusterMap& map, absl::string_view key,
                   const v1::Record& record);
// Off one volume, to the best other.
Plan PlanDrain(const v1::ClusterMap& map, uint32_t volume_id,
               absl::string_view key, const v1::Record& record);
// Makes a copy again that is lost, or that there should be more. Other disks of
// the volume whose disk has failed keep theirs.
using IsLost = std::function<bool(const v1::SubvolumeId& place)>;
Plan PlanRepair(const v1::ClusterMap& map, const IsLost& is_lost,
                absl::string_view key, const v1::Record& record);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_PLACEMENT_PLAN_H_

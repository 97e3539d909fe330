#include "master/jobs/recovered_map.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

absl::Status CheckSetting(absl::string_view flag, int of_cluster, int given) {
  if (of_cluster == given) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the volumes' cluster has --", flag, "=", of_cluster,
      ", the master was started with --", flag, "=", given,
      ": stop the master, move its empty index away and start it with ",
      of_cluster));
}

// The newest map that any volume of the cluster keeps.
absl::StatusOr<v1::ClusterMap> NewestMap(
    const v1::ClusterMap& own, const std::vector<VolumeReport>& reports) {
  const VolumeReport* first = nullptr;
  const v1::ClusterMap* newest = nullptr;
  for (const VolumeReport& report : reports) {
    if (report.state.cluster_id().empty()) continue;
    if (first == nullptr) first = &report;
    if (report.state.cluster_id() != first->state.cluster_id()) {
      return absl::FailedPreconditionError(
          absl::StrCat("volume ", VolumeIdText(first->volume.volume_id()),
                       " belongs to cluster ", first->state.cluster_id(),
                       ", volume ", VolumeIdText(report.volume.volume_id()),
                       " to cluster ", report.state.cluster_id(),
                       ": stop the agents of the one that is not meant"));
    }
    if (newest == nullptr || report.state.map().epoch() > newest->epoch()) {
      newest = &report.state.map();
    }
  }
  if (newest == nullptr) {
    return absl::FailedPreconditionError(
        "no volume that has belonged to a cluster is up: start the volumes");
  }
  const bool own_is_newer = own.cluster_id() == first->state.cluster_id() &&
                            own.epoch() > newest->epoch();
  return own_is_newer ? own : *newest;
}

void AddRemovedIds(const v1::ClusterMap& from, std::set<uint32_t>* ids) {
  ids->insert(from.removed_volume_ids().begin(),
              from.removed_volume_ids().end());
}

v1::Volume* FindVolume(v1::ClusterMap* map, uint32_t volume_id) {
  for (v1::Volume& volume : *map->mutable_volumes()) {
    if (volume.volume_id() == volume_id) return &volume;
  }
  return nullptr;
}

// Where the volume is now; what the cluster decided of it stays.
void TakeOver(const v1::Volume& joined, v1::Volume* known) {
  known->set_volume_id(joined.volume_id());
  known->set_state(v1::VOLUME_STATE_UP);
  known->set_grpc_address(joined.grpc_address());
  known->set_http_address(joined.http_address());
  known->set_zone(joined.zone());
  *known->mutable_subvolumes() = joined.subvolumes();
  known->set_signing_secret(joined.signing_secret());
  // A new volume's follows from its capacity, with its next heartbeat.
  known->set_weight(std::max<int64_t>(1, known->weight()));
}

}  // namespace

absl::StatusOr<v1::ClusterMap> RecoverMap(
    const v1::ClusterMap& own, const std::vector<VolumeReport>& reports) {
  ASSIGN_OR_RETURN(v1::ClusterMap map, NewestMap(own, reports));
  RETURN_IF_ERROR(CheckSetting("replicas", map.replicas(), own.replicas()));
  RETURN_IF_ERROR(CheckSetting("subvolumes", map.subvolumes_per_volume(),
                               own.subvolumes_per_volume()));
  map.set_epoch(std::max(map.epoch(), own.epoch()));
  map.set_durability(own.durability());
  map.set_inline_bytes_max(own.inline_bytes_max());
  std::set<uint32_t> removed;
  AddRemovedIds(map, &removed);
  if (own.cluster_id() == map.cluster_id()) AddRemovedIds(own, &removed);
  for (v1::Volume& volume : *map.mutable_volumes()) {
    volume.set_state(v1::VOLUME_STATE_DOWN);
  }
  for (const VolumeReport& report : reports) {
    if (report.state.cluster_id() != map.cluster_id()) continue;
    AddRemovedIds(report.state.map(), &removed);
    if (removed.count(report.volume.volume_id()) > 0) continue;
    v1::Volume* known = FindVolume(&map, report.volume.volume_id());
    if (known == nullptr) known = map.add_volumes();
    TakeOver(report.volume, known);
  }
  map.clear_removed_volume_ids();
  for (const uint32_t id : removed) map.add_removed_volume_ids(id);
  return map;
}

}  // namespace cairn::master

#include "master/cluster_state.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/hash.h"
#include "base/logging.h"
#include "base/status.h"

namespace cairn::master {
namespace {

constexpr char kMetaName[] = "map";

// 16 random bytes in hexadecimal.
std::string DrawClusterId() {
  std::random_device random;
  std::string bytes;
  while (bytes.size() < 16) bytes.push_back(static_cast<char>(random() & 255));
  return base::ToHex(bytes);
}

absl::Status CheckFixed(absl::string_view flag, int stored, int given) {
  if (stored == given) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("this cluster was made with --", flag, "=", stored,
                   " and cannot be started with --", flag, "=", given,
                   ": start it with ", stored, ", or give an empty --data and ",
                   "empty volumes to make a new cluster"));
}

absl::StatusOr<v1::ClusterMap> MakeCluster(index::IndexStore* index,
                                           const ClusterSettings& settings) {
  v1::ClusterMap map;
  map.set_cluster_id(DrawClusterId());
  map.set_epoch(1);
  map.set_replicas(settings.replicas);
  map.set_subvolumes_per_volume(settings.subvolumes_per_volume);
  map.set_durability(settings.durability);
  map.set_inline_bytes_max(settings.inline_bytes_max);
  RETURN_IF_ERROR(StoreMap(index, map));
  base::LogInfo("the index is blank; made cluster ", map.cluster_id());
  return map;
}

// Clears what SameButFill() overlooks.
std::string WithoutFill(v1::Volume volume) {
  for (v1::Subvolume& subvolume : *volume.mutable_subvolumes()) {
    subvolume.clear_capacity_bytes();
    subvolume.clear_free_bytes();
    subvolume.clear_free_inodes();
  }
  return volume.SerializeAsString();
}

}  // namespace

absl::StatusOr<v1::ClusterMap> OpenCluster(index::IndexStore* index,
                                           const ClusterSettings& settings) {
  const absl::StatusOr<std::string> stored = index->GetMeta(kMetaName);
  if (absl::IsNotFound(stored.status())) return MakeCluster(index, settings);
  RETURN_IF_ERROR(stored.status());
  v1::ClusterMap map;
  if (!map.ParseFromString(*stored)) {
    return absl::DataLossError(
        "the index's cluster map cannot be read: run `cairn rebuild`");
  }
  RETURN_IF_ERROR(CheckFixed("replicas", map.replicas(), settings.replicas));
  RETURN_IF_ERROR(CheckFixed("subvolumes", map.subvolumes_per_volume(),
                             settings.subvolumes_per_volume));
  if (map.durability() == settings.durability &&
      map.inline_bytes_max() == settings.inline_bytes_max) {
    return map;
  }
  map.set_durability(settings.durability);
  map.set_inline_bytes_max(settings.inline_bytes_max);
  map.set_epoch(map.epoch() + 1);
  RETURN_IF_ERROR(StoreMap(index, map));
  return map;
}

absl::Status StoreMap(index::IndexStore* index, const v1::ClusterMap& map) {
  return base::Annotate(index->SetMeta(kMetaName, map.SerializeAsString()),
                        "storing the cluster map in the index");
}

bool IsFormed(const v1::ClusterMap& map) {
  return map.volumes_size() + map.removed_volume_ids_size() >= map.replicas();
}

v1::ClusterMap WithoutSecrets(const v1::ClusterMap& map) {
  v1::ClusterMap out = map;
  for (v1::Volume& volume : *out.mutable_volumes()) {
    volume.clear_signing_secret();
  }
  return out;
}

int64_t WeightOf(const v1::Volume& volume, int64_t current) {
  int64_t bytes = 0;
  int64_t healthy = 0;
  for (const v1::Subvolume& subvolume : volume.subvolumes()) {
    bytes += subvolume.capacity_bytes();
    healthy += subvolume.failed() ? 0 : 1;
  }
  if (healthy == 0) return std::max<int64_t>(1, current);
  // A failed disk has no capacity to tell: as much as the others'. Were it to
  // count as none, its failure would move keys between healthy disks too.
  if (healthy < volume.subvolumes_size()) {
    bytes = bytes / healthy * volume.subvolumes_size();
  }
  const int64_t weight = std::max<int64_t>(1, bytes >> 30);
  return std::abs(weight - current) * 10 <= current ? current : weight;
}

bool SameButFill(const v1::Volume& a, const v1::Volume& b) {
  return WithoutFill(a) == WithoutFill(b);
}

}  // namespace cairn::master

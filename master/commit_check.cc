#include "master/commit_check.h"

#include <cstdint>

#include "absl/algorithm/container.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "base/blob_name.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/status.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

constexpr int64_t kVersionTimeMax = (int64_t{1} << 48) - 1;

absl::Status CheckVersion(const v1::Version& version) {
  if (version.time_ms() > 0 && version.time_ms() <= kVersionTimeMax &&
      version.counter() >= 0 && version.counter() <= UINT16_MAX &&
      version.writer_id() != 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "a commit carries a version with time, counter and writer id: see "
      "common.proto");
}

absl::Status CheckReplicas(const v1::ClusterMap& map,
                           const v1::Record& record) {
  if (record.replicas_size() != map.replicas()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a commit names ", map.replicas(), " replicas in this cluster, not ",
        record.replicas_size()));
  }
  return CheckPlaces(map, record);
}

absl::Status CheckInlineValue(const v1::ClusterMap& map,
                              const index::Mutation& mutation) {
  const v1::Record& record = mutation.record;
  if (mutation.inline_value.empty()) return absl::OkStatus();
  const int64_t size = mutation.inline_value.size();
  // A client may have read inline_bytes_max before a restart lowered it.
  if (size != record.size_bytes() || size > base::kInlineBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the inlined value has ", size, " bytes, the record says ",
                     record.size_bytes(), "; at most ", map.inline_bytes_max(),
                     " are inlined"));
  }
  if (base::Xxh3(mutation.inline_value) != record.digest().xxh3()) {
    return absl::InvalidArgumentError(
        "the inlined value does not match its digest: write again");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPlaces(const v1::ClusterMap& map, const v1::Record& record) {
  absl::InlinedVector<uint32_t, 4> seen;
  for (const v1::SubvolumeId& where : record.replicas()) {
    const uint32_t id = where.volume_id();
    const v1::Volume* volume = placement::FindVolume(map, id);
    if (volume == nullptr || volume->state() == v1::VOLUME_STATE_REMOVED) {
      return absl::FailedPreconditionError(
          absl::StrCat("volume ", VolumeIdText(id),
                       " is not in the cluster (any more): write again"));
    }
    if (where.subvolume() < 0 ||
        where.subvolume() >= map.subvolumes_per_volume() ||
        absl::c_linear_search(seen, id)) {
      return absl::InvalidArgumentError(
          "the replicas of a commit lie on distinct volumes, each on a "
          "subvolume that there is");
    }
    seen.push_back(id);
  }
  return absl::OkStatus();
}

absl::Status CheckPut(const v1::ClusterMap& map,
                      const index::Mutation& mutation) {
  const v1::Record& record = mutation.record;
  RETURN_IF_ERROR(base::CheckKey(mutation.key));
  RETURN_IF_ERROR(CheckMetadata(record.metadata()));
  RETURN_IF_ERROR(CheckVersion(record.version()));
  if (record.tombstone() || record.size_bytes() < 0 ||
      record.size_bytes() > base::kValueBytesMax ||
      record.digest().md5().size() != 16) {
    return absl::InvalidArgumentError(
        "a commit carries a size, an MD5 of 16 bytes and no tombstone");
  }
  RETURN_IF_ERROR(CheckInlineValue(map, mutation));
  return CheckReplicas(map, record);
}

}  // namespace cairn::master

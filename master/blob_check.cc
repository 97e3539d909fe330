#include "master/blob_check.h"

#include <string>

#include "absl/time/time.h"
#include "base/limits.h"
#include "base/status.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

using Verdict = v1::CheckBlobsResponse;

bool Names(const v1::Record& record, uint32_t volume_id,
           const v1::BlobId& blob) {
  if (FromProto(record.version()) != FromProto(blob.version()) ||
      record.tombstone() != blob.tombstone()) {
    return false;
  }
  for (const v1::SubvolumeId& where : record.replicas()) {
    if (where.volume_id() == volume_id &&
        where.subvolume() == blob.subvolume()) {
      return true;
    }
  }
  return false;
}

absl::StatusOr<Verdict::Verdict> Judge(
    index::IndexStore* index, uint32_t volume_id, const v1::BlobId& blob,
    const absl::StatusOr<index::Found>& found, int64_t index_time_ms,
    HeldBlobs* held) {
  if (!found.ok() && !absl::IsNotFound(found.status())) return found.status();
  if (found.ok() && Names(found->record, volume_id, blob)) {
    return Verdict::VERDICT_COMMITTED;
  }
  if (held != nullptr && held->IsHeld({volume_id, blob})) {
    return Verdict::VERDICT_PENDING;
  }
  const int64_t age_ms = index_time_ms - blob.version().time_ms();
  if (age_ms >= absl::ToInt64Milliseconds(base::kUnmarkedAgeMax)) {
    return Verdict::VERDICT_DISOWNED;
  }
  // Young: its writer may still commit it, or rename it to a higher version.
  ASSIGN_OR_RETURN(const bool queued, index->HasRemoval({volume_id, blob}));
  return queued ? Verdict::VERDICT_DISOWNED : Verdict::VERDICT_PENDING;
}

}  // namespace

absl::StatusOr<std::vector<Verdict::Verdict>> CheckBlobs(
    index::IndexStore* index, const v1::CheckBlobsRequest& request,
    int64_t index_time_ms, HeldBlobs* held) {
  std::vector<Verdict::Verdict> verdicts;
  verdicts.reserve(request.blobs_size());
  // In pieces of a batch, so that no lookup holds much memory.
  for (int begin = 0; begin < request.blobs_size();
       begin += base::kBatchOpsMax) {
    std::vector<std::string> keys;
    for (int i = begin;
         i < request.blobs_size() && i < begin + base::kBatchOpsMax; ++i) {
      keys.push_back(request.blobs(i).key());
    }
    ASSIGN_OR_RETURN(const auto found,
                     index->Lookup(keys, /*with_values=*/false));
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSIGN_OR_RETURN(
          const Verdict::Verdict verdict,
          Judge(index, request.volume_id(), request.blobs(begin + i), found[i],
                index_time_ms, held));
      verdicts.push_back(verdict);
    }
  }
  return verdicts;
}

}  // namespace cairn::master

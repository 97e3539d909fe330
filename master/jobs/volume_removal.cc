#include "master/jobs/volume_removal.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/blob_name.h"
#include "base/limits.h"
#include "base/status.h"
#include "master/commit_all.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

bool Names(const v1::Record& record, uint32_t volume_id) {
  for (const v1::SubvolumeId& place : record.replicas()) {
    if (place.volume_id() == volume_id) return true;
  }
  return false;
}

}  // namespace

absl::Status VolumeRemoval::CheckMutation(
    const index::Mutation& mutation) const {
  const uint32_t leaving = leaving_.load();
  if (leaving == 0 || !Names(mutation.record, leaving)) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(
      "volume ", VolumeIdText(leaving), " is just being removed: write again"));
}

absl::Status VolumeRemoval::Remove(uint32_t volume_id, bool dry_run) {
  base::MutexLock lock(&remove_mu_);
  RETURN_IF_ERROR(membership_->CheckCanLeave(volume_id));
  const Membership::View view = membership_->view();
  const v1::Volume* const volume = placement::FindVolume(view->map, volume_id);
  if (volume == nullptr) return absl::UnavailableError("try again");
  // One that still takes new values would have some when it was gone.
  if (volume->state() == v1::VOLUME_STATE_UP && !volume->draining()) {
    return absl::FailedPreconditionError(
        absl::StrCat("volume ", VolumeIdText(volume_id),
                     " takes new values: run `cairn volume drain ",
                     VolumeIdText(volume_id), "` first"));
  }
  if (dry_run) return CheckUnnamed(volume_id);
  leaving_.store(volume_id);
  WaitForCommits();
  absl::Status removed = CheckUnnamed(volume_id);
  if (removed.ok()) removed = membership_->Remove(volume_id);
  // From here on the map says so, or the volume stays.
  // If the map may yet change, no commit may name the volume.
  if (!absl::IsUnavailable(removed)) leaving_.store(0);
  RETURN_IF_ERROR(removed);
  return ForgetQueue(volume_id);
}

void VolumeRemoval::WaitForCommits() {
  // Of a key that there never is: refused, in its turn, which is all that
  // matters.
  index::Mutation mutation;
  mutation.kind = index::Mutation::Kind::kMove;
  CommitAll(commits_, {mutation});
}

absl::Status VolumeRemoval::CheckUnnamed(uint32_t volume_id) {
  int64_t named = 0;
  std::string first;
  RETURN_IF_ERROR(index_->Walk(
      /*with_values=*/false,
      [&](absl::string_view key, const index::Found& found) {
        if (!Names(found.record, volume_id)) return absl::OkStatus();
        if (named++ == 0) first = std::string(key);
        return absl::OkStatus();
      }));
  if (named == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(named, named == 1 ? " key has a copy" : " keys have copies",
                   " on volume ", VolumeIdText(volume_id), " (",
                   base::EscapeKeyForUrl(first), named == 1 ? "" : ", ...",
                   "): run `cairn volume drain ", VolumeIdText(volume_id),
                   "` first, or, if it is gone, `cairn repair`"));
}

absl::Status VolumeRemoval::ForgetQueue(uint32_t volume_id) {
  std::string cursor;
  while (true) {
    ASSIGN_OR_RETURN(
        const auto queued,
        index_->Removals(volume_id, base::kRemovalGroupMax, &cursor));
    if (queued.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(index_->FinishRemovals(queued));
  }
}

absl::Status VolumeRemoval::ForgetQueues() {
  const Membership::View view = membership_->view();
  for (const uint32_t id : view->map.removed_volume_ids()) {
    RETURN_IF_ERROR(ForgetQueue(id));
  }
  return absl::OkStatus();
}

}  // namespace cairn::master

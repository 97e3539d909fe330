#include "master/held_blobs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "proto/convert.h"

namespace cairn::master {

std::string HeldBlobs::NameOf(const index::Removal& blob) {
  return absl::StrCat(blob.volume_id, "/", blob.blob.subvolume(), "/",
                      FromProto(blob.blob.version()).ToHex(),
                      blob.blob.tombstone() ? "t" : "v", blob.blob.key());
}

bool HeldBlobs::TryHold(const index::Removal& blob) {
  std::string name = NameOf(blob);
  base::MutexLock lock(&mu_);
  return !going_.contains(name) && held_.insert(std::move(name)).second;
}

void HeldBlobs::Release(const index::Removal& blob) {
  const std::string name = NameOf(blob);
  base::MutexLock lock(&mu_);
  held_.erase(name);
}

bool HeldBlobs::IsHeld(const index::Removal& blob) {
  const std::string name = NameOf(blob);
  base::MutexLock lock(&mu_);
  return held_.contains(name);
}

std::vector<index::Removal> HeldBlobs::BeginRemoval(
    std::vector<index::Removal> blobs) {
  std::vector<std::string> names;
  names.reserve(blobs.size());
  for (const index::Removal& blob : blobs) names.push_back(NameOf(blob));
  std::vector<index::Removal> free;
  free.reserve(blobs.size());
  base::MutexLock lock(&mu_);
  for (size_t i = 0; i < blobs.size(); ++i) {
    if (held_.contains(names[i])) continue;
    // Twice in one list, or in two at once: to remove it again does no harm,
    // but whoever ends first would end both.
    if (!going_.insert(std::move(names[i])).second) continue;
    free.push_back(std::move(blobs[i]));
  }
  return free;
}

void HeldBlobs::EndRemoval(const std::vector<index::Removal>& blobs) {
  std::vector<std::string> names;
  names.reserve(blobs.size());
  for (const index::Removal& blob : blobs) names.push_back(NameOf(blob));
  base::MutexLock lock(&mu_);
  for (const std::string& name : names) going_.erase(name);
}

}  // namespace cairn::master

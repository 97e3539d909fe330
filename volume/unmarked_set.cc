#include "volume/unmarked_set.h"

#include <utility>

namespace cairn::volume {

bool UnmarkedSet::StartWriting(const std::string& name,
                               const v1::BlobId& blob) {
  base::MutexLock lock(&mu_);
  State& state = blobs_[name];
  if (state.writing) return false;
  state.blob = blob;
  state.writing = true;
  return true;
}

void UnmarkedSet::EndWriting(const std::string& name, bool keep,
                             absl::Time now) {
  base::MutexLock lock(&mu_);
  if (!keep) {
    blobs_.erase(name);
    return;
  }
  State& state = blobs_[name];
  state.writing = false;
  state.since = now;
}

void UnmarkedSet::Add(const std::string& name, const v1::BlobId& blob,
                      absl::Time since) {
  base::MutexLock lock(&mu_);
  State state;
  state.blob = blob;
  state.since = since;
  blobs_.emplace(name, std::move(state));
}

void UnmarkedSet::Remove(const std::string& name) {
  base::MutexLock lock(&mu_);
  const auto it = blobs_.find(name);
  if (it != blobs_.end() && !it->second.writing) blobs_.erase(it);
}

std::vector<UnmarkedSet::Entry> UnmarkedSet::Since(absl::Time limit) const {
  base::MutexLock lock(&mu_);
  std::vector<Entry> entries;
  for (const auto& [name, state] : blobs_) {
    if (state.writing || state.since > limit) continue;
    entries.push_back({name, state.blob});
  }
  return entries;
}

bool UnmarkedSet::IsSince(const std::string& name, absl::Time limit) const {
  base::MutexLock lock(&mu_);
  const auto it = blobs_.find(name);
  return it != blobs_.end() && !it->second.writing && it->second.since <= limit;
}

std::vector<std::string> UnmarkedSet::Names() const {
  base::MutexLock lock(&mu_);
  std::vector<std::string> names;
  for (const auto& [name, state] : blobs_) names.push_back(name);
  return names;
}

size_t UnmarkedSet::size() const {
  base::MutexLock lock(&mu_);
  return blobs_.size();
}

}  // namespace cairn::volume

#include "master/jobs/merge_job.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/blob_name.h"
#include "base/limits.h"
#include "base/status.h"
#include "master/commit_all.h"
#include "master/jobs/blob_adoption.h"
#include "master/jobs/directory_reader.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

// The fact in the index that is a RebuildRequest: what it was made without.
constexpr char kUnlistedName[] = "unlisted";
constexpr absl::Duration kPause = absl::Seconds(1);
// Blobs that are looked up at once.
constexpr size_t kGroup = 500;
// How often a group whose keys change meanwhile is looked at.
constexpr int kTriesMax = 10;

using Place = std::pair<uint32_t, int>;  // Volume and subvolume.

absl::StatusOr<v1::RebuildRequest> ReadUnlisted(index::IndexStore* index) {
  v1::RebuildRequest request;
  const auto stored = index->GetMeta(kUnlistedName);
  if (absl::IsNotFound(stored.status())) return request;
  RETURN_IF_ERROR(stored.status());
  if (!request.ParseFromString(*stored)) {
    return absl::DataLossError("what the index was made without is unreadable");
  }
  return request;
}

std::vector<Place> PlacesOf(const v1::RebuildRequest& request,
                            int subvolumes_per_volume) {
  std::vector<Place> places;
  for (const uint32_t id : request.without_volume_ids()) {
    for (int i = 0; i < subvolumes_per_volume; ++i) places.emplace_back(id, i);
  }
  for (const v1::SubvolumeId& where : request.without_subvolumes()) {
    places.emplace_back(where.volume_id(), where.subvolume());
  }
  return places;
}

// The volume of a place that can be listed now; nullptr: it cannot.
const v1::Volume* FindUp(const v1::ClusterMap& map, const Place& place) {
  const v1::Volume* const volume = placement::FindVolume(map, place.first);
  const bool up = volume != nullptr && volume->state() == v1::VOLUME_STATE_UP &&
                  place.second < volume->subvolumes_size() &&
                  !volume->subvolumes(place.second).failed();
  return up ? volume : nullptr;
}

// One run.
class Merge {
 public:
  Merge(const MergeJob::Options* options, JobContext* context)
      : options_(*options), context_(context) {}

  absl::Status Run() {
    context_->SetPhase("waiting for the volumes");
    while (!options_.membership->CheckServing().ok()) {
      RETURN_IF_ERROR(context_->Pause(kPause));
    }
    ASSIGN_OR_RETURN(v1::RebuildRequest request, ReadUnlisted(options_.index));
    const Membership::View view = options_.membership->view();
    std::vector<Place> left =
        PlacesOf(request, view->map.subvolumes_per_volume());
    for (const Place& place : std::vector<Place>(left)) {
      const v1::Volume* const volume = FindUp(view->map, place);
      if (volume == nullptr) continue;
      context_->SetPhase(
          absl::StrCat("listing ", PlaceText(place.first, place.second)));
      RETURN_IF_ERROR(List(view->map, *volume, place.second));
      left.erase(absl::c_find(left, place));
      RETURN_IF_ERROR(NoteLeft(left));
    }
    context_->SetSummary(absl::StrCat(
        blobs_, " blobs were listed: ", taken_, " were taken in, ", removed_,
        " wait for removal; ", left.size(), " disks are still away"));
    return absl::OkStatus();
  }

 private:
  absl::Status NoteLeft(const std::vector<Place>& left) {
    v1::RebuildRequest request;
    for (const Place& place : left) {
      v1::SubvolumeId* const where = request.add_without_subvolumes();
      where->set_volume_id(place.first);
      where->set_subvolume(place.second);
    }
    return NoteUnlisted(options_.index, request);
  }

  absl::Status List(const v1::ClusterMap& map, const v1::Volume& volume,
                    int subvolume) {
    DirectoryReader::Options list;
    list.volume_id = volume.volume_id();
    list.subvolume = subvolume;
    list.grpc_address = volume.grpc_address();
    list.value_bytes_max = map.inline_bytes_max();
    DirectoryReader reader(std::move(list));
    for (int i = 0; i < base::kDirectoriesPerSubvolume; ++i) {
      RETURN_IF_ERROR(context_->CheckGoOn());
      ASSIGN_OR_RETURN(const DirectoryReader::Directory directory,
                       reader.Next());
      const auto& blobs = directory.blobs;
      for (size_t at = 0; at < blobs.size(); at += kGroup) {
        std::vector<FoundBlob> group;
        const size_t end = std::min(blobs.size(), at + kGroup);
        for (size_t j = at; j < end; ++j) {
          group.push_back({volume.volume_id(), *blobs[j]});
        }
        RETURN_IF_ERROR(TakeGroup(map, std::move(group)));
      }
    }
    return absl::OkStatus();
  }

  absl::Status TakeGroup(const v1::ClusterMap& map,
                         std::vector<FoundBlob> group) {
    blobs_ += static_cast<int64_t>(group.size());
    context_->Add(static_cast<int64_t>(group.size()), 0);
    for (int tries = 0; tries < kTriesMax && !group.empty(); ++tries) {
      RETURN_IF_ERROR(TakeOnce(map, &group));
    }
    for (const FoundBlob& blob : group) {
      context_->AddProblem(
          absl::StrCat(TextOf(blob),
                       " could not be taken in: its key changes "
                       "again and again"));
    }
    return absl::OkStatus();
  }

  // Leaves in `group` those whose key has changed meanwhile.
  absl::Status TakeOnce(const v1::ClusterMap& map,
                        std::vector<FoundBlob>* group) {
    std::vector<std::string> keys;
    for (const FoundBlob& blob : *group) keys.push_back(blob.stat.blob().key());
    ASSIGN_OR_RETURN(const auto found,
                     options_.index->Lookup(keys, /*with_values=*/false));
    std::vector<index::Mutation> mutations;
    std::vector<FoundBlob> committing;
    std::vector<index::Removal> removals;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!found[i].ok() && !absl::IsNotFound(found[i].status())) {
        return found[i].status();
      }
      const FoundBlob& blob = (*group)[i];
      Adoption adoption = Adopt(found[i].ok() ? &found[i]->record : nullptr,
                                blob, map.replicas());
      switch (adoption.kind) {
        case Adoption::Kind::kNothing:
          break;
        case Adoption::Kind::kDamaged:
          context_->AddProblem(absl::StrCat(
              TextOf(blob), " is the newest of its key, and damaged"));
          break;
        case Adoption::Kind::kRemove:
          removals.push_back({blob.volume_id, blob.stat.blob()});
          break;
        case Adoption::Kind::kCommit:
          mutations.push_back(std::move(adoption.mutation));
          committing.push_back(blob);
          break;
      }
    }
    RETURN_IF_ERROR(Remove(removals));
    return Commit(std::move(mutations), std::move(committing), group);
  }

  absl::Status Remove(const std::vector<index::Removal>& removals) {
    if (removals.empty()) return absl::OkStatus();
    removed_ += static_cast<int64_t>(removals.size());
    RETURN_IF_ERROR(options_.index->AddRemovals(removals));
    options_.on_removals(removals[0].volume_id);
    return absl::OkStatus();
  }

  absl::Status Commit(std::vector<index::Mutation> mutations,
                      std::vector<FoundBlob> blobs,
                      std::vector<FoundBlob>* again) {
    again->clear();
    if (mutations.empty()) return absl::OkStatus();
    const auto results = CommitAll(options_.commits, std::move(mutations));
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i].ok()) {
        ++taken_;
      } else if (absl::IsAborted(results[i])) {
        again->push_back(std::move(blobs[i]));
      } else {
        return results[i];
      }
    }
    return absl::OkStatus();
  }

  static std::string TextOf(const FoundBlob& blob) {
    return absl::StrCat(
        base::EscapeKeyForUrl(blob.stat.blob().key()), ": the copy on ",
        PlaceText(blob.volume_id, blob.stat.blob().subvolume()));
  }

  const MergeJob::Options& options_;
  JobContext* const context_;
  int64_t blobs_ = 0;
  int64_t taken_ = 0;
  int64_t removed_ = 0;
};

}  // namespace

absl::Status NoteUnlisted(index::IndexStore* index,
                          const v1::RebuildRequest& request) {
  return index->SetMeta(kUnlistedName, request.SerializeAsString());
}

MergeJob::MergeJob(Options options, JobRunner* jobs)
    : options_(std::move(options)), jobs_(jobs) {
  jobs->Register(v1::JOB_KIND_MERGE,
                 [this](JobContext* context) { return Run(context); });
}

absl::Status MergeJob::Run(JobContext* context) {
  return Merge(&options_, context).Run();
}

absl::Status MergeJob::Tick() {
  // Rare enough to be read anew: nothing is noted, as a rule.
  ASSIGN_OR_RETURN(const v1::RebuildRequest request,
                   ReadUnlisted(options_.index));
  const Membership::View view = options_.membership->view();
  const std::vector<Place> places =
      PlacesOf(request, view->map.subvolumes_per_volume());
  waits_.store(!places.empty());
  const bool can_start = absl::c_any_of(places, [&](const Place& place) {
    return FindUp(view->map, place) != nullptr;
  });
  if (!can_start) return absl::OkStatus();
  // Joins one that runs.
  return jobs_->Start(v1::JOB_KIND_MERGE, v1::JobOptions(), "").status();
}

}  // namespace cairn::master

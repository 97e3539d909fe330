#include "master/jobs/rebuild_job.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/limits.h"
#include "base/status.h"
#include "master/jobs/background_step.h"
#include "master/jobs/blob_merge.h"
#include "master/jobs/directory_reader.h"
#include "master/jobs/merge_job.h"
#include "master/jobs/recovered_map.h"
#include "master/jobs/restore_writer.h"
#include "master/jobs/volume_checker.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

// The fact in the index that it is being made again; "": it is not.
constexpr char kBegunName[] = "rebuilding";
constexpr absl::Duration kPause = absl::Milliseconds(500);

using Place = std::pair<uint32_t, int>;  // Volume and subvolume.

// One run.
class Rebuild {
 public:
  Rebuild(const RebuildJob::Options* options, JobContext* context)
      : options_(*options), context_(context) {}

  absl::Status Run() {
    v1::RebuildCursor cursor;
    if (!request_.ParseFromString(context_->request()) ||
        !cursor.ParseFromString(context_->cursor())) {
      return absl::DataLossError("the note of the rebuild cannot be read");
    }
    writer_ = MakeWriter(std::move(cursor));
    ASSIGN_OR_RETURN(const bool lost, WaitLost());
    if (!lost) return absl::OkStatus();  // It had ended, but for its note.
    RETURN_IF_ERROR(WaitVolumes());
    if (!context_->dry_run() && context_->cursor().empty()) {
      RETURN_IF_ERROR(Empty());
    }
    while (true) {
      const absl::Status status = ReadDirectories();
      if (status.ok()) break;
      // A volume that has gone away: it may come back.
      if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
        return status;
      }
      readers_.clear();
      context_->SetPhase(absl::StrCat("trying again: ", status.message()));
      RETURN_IF_ERROR(context_->Pause(kPause));
      RETURN_IF_ERROR(WaitVolumes());
    }
    readers_.clear();
    if (!context_->dry_run()) RETURN_IF_ERROR(Finish());
    context_->SetSummary(Summary());
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<RestoreWriter> MakeWriter(v1::RebuildCursor cursor) {
    RestoreWriter::Options options;
    if (!context_->dry_run()) options.index = options_.index;
    options.save = [this](const v1::RebuildCursor& reached) {
      return context_->SaveCursor(reached.SerializeAsString());
    };
    return std::make_unique<RestoreWriter>(std::move(options),
                                           std::move(cursor));
  }
  const v1::RebuildCursor& cursor() const { return writer_->cursor(); }

  // False: the index is believed, since an earlier run was at its end.
  absl::StatusOr<bool> WaitLost() {
    context_->SetPhase("waiting for the volumes");
    while (!options_.membership->lost()) {
      if (options_.membership->CheckServing().ok()) {
        if (!context_->cursor().empty()) return false;
        return absl::FailedPreconditionError(
            "the index is not lost: there is nothing to rebuild");
      }
      RETURN_IF_ERROR(context_->Pause(kPause));
    }
    return true;
  }

  bool Without(uint32_t volume_id) const {
    return absl::c_linear_search(request_.without_volume_ids(), volume_id);
  }
  bool Without(const Place& place) const {
    if (Without(place.first)) return true;
    return absl::c_any_of(request_.without_subvolumes(),
                          [&](const v1::SubvolumeId& where) {
                            return where.volume_id() == place.first &&
                                   where.subvolume() == place.second;
                          });
  }

  // Until every disk that is to be listed is there; then `map_` is the map.
  absl::Status WaitVolumes() {
    // A volume that is not in any copy of the map yet must not be overlooked.
    while (!options_.membership->HadTimeToJoin()) {
      RETURN_IF_ERROR(context_->Pause(kPause));
    }
    while (true) {
      ASSIGN_OR_RETURN(const std::vector<VolumeReport> reports, Reports());
      if (!reports.empty()) {
        ASSIGN_OR_RETURN(map_,
                         RecoverMap(options_.membership->view()->map, reports));
        RETURN_IF_ERROR(CheckWithout());
        const std::vector<std::string> missing = Missing();
        if (missing.empty()) return absl::OkStatus();
        context_->SetPhase(absl::StrCat(
            "waiting for ", absl::StrJoin(missing, ", "),
            " (start it, or stop this and run it again --without it)"));
      }
      RETURN_IF_ERROR(context_->Pause(kPause));
    }
  }

  // What the volumes that are up say of their cluster.
  absl::StatusOr<std::vector<VolumeReport>> Reports() {
    std::vector<VolumeReport> reports;
    mark_max_ = 0;
    for (v1::Volume& volume : options_.membership->VolumesWithSecrets()) {
      if (volume.state() != v1::VOLUME_STATE_UP) continue;
      VolumeReport report;
      const absl::Status asked =
          VolumeChecker(volume.volume_id(), volume.grpc_address())
              .GetState(&report.state);
      if (!asked.ok()) {
        RETURN_IF_ERROR(context_->CheckGoOn());
        continue;  // As if it were down.
      }
      mark_max_ = std::max(mark_max_, report.state.mark());
      report.volume = std::move(volume);
      reports.push_back(std::move(report));
    }
    return reports;
  }

  absl::Status CheckWithout() const {
    std::vector<Place> named;
    for (const uint32_t id : request_.without_volume_ids()) {
      named.emplace_back(id, 0);
    }
    for (const v1::SubvolumeId& where : request_.without_subvolumes()) {
      named.emplace_back(where.volume_id(), where.subvolume());
    }
    for (const Place& place : named) {
      if (placement::FindVolume(map_, place.first) != nullptr &&
          place.second >= 0 && place.second < map_.subvolumes_per_volume()) {
        continue;
      }
      return absl::FailedPreconditionError(absl::StrCat(
          "--without: ", PlaceText(place.first, place.second),
          " is not in the cluster; `cairn volume list` shows those that are "
          "up"));
    }
    return absl::OkStatus();
  }

  std::vector<std::string> Missing() const {
    std::vector<std::string> missing;
    for (const v1::Volume& volume : map_.volumes()) {
      const uint32_t id = volume.volume_id();
      if (Without(id)) continue;
      if (volume.state() != v1::VOLUME_STATE_UP) {
        missing.push_back(absl::StrCat("volume ", VolumeIdText(id)));
        continue;
      }
      for (int i = 0; i < volume.subvolumes_size(); ++i) {
        if (volume.subvolumes(i).failed() && !Without(Place(id, i))) {
          missing.push_back(absl::StrCat("the disk ", PlaceText(id, i)));
        }
      }
    }
    return missing;
  }

  absl::Status Empty() {
    context_->SetPhase("emptying the index");
    RETURN_IF_ERROR(options_.index->SetMeta(kBegunName, "1"));
    RETURN_IF_ERROR(options_.index->Clear());
    return writer_->Save(absl::Now());
  }

  // Some directories, whole: enough for a write of the index.
  struct Group {
    std::vector<DirectoryReader::Directory> lists;
    std::vector<ListedBlob> blobs;  // Within `lists`.
    int directories = 0;
    int64_t bytes = 0;  // Of their values.
  };

  // While one group is read the one before is merged and written.
  absl::Status ReadDirectories() {
    int next = cursor().next_directory();
    StartReaders(next);
    context_->SetPhase("reading the volumes");
    BackgroundStep merging;
    while (next < base::kDirectoriesPerSubvolume) {
      ASSIGN_OR_RETURN(Group read, ReadGroup(next));
      next += read.directories;
      const auto group = std::make_shared<Group>(std::move(read));
      RETURN_IF_ERROR(
          merging.Start([this, group] { return MergeGroup(group.get()); }));
    }
    RETURN_IF_ERROR(merging.Wait());
    return writer_->Save(absl::Now());
  }

  absl::StatusOr<Group> ReadGroup(int first_directory) {
    const int left = base::kDirectoriesPerSubvolume - first_directory;
    const absl::Time begin = absl::Now();
    Group group;
    while (group.directories < left &&
           group.blobs.size() < base::kRebuildGroupBlobs &&
           group.bytes < base::kRebuildGroupBytes &&
           absl::Now() - begin < base::kRebuildNoteInterval) {
      RETURN_IF_ERROR(context_->CheckGoOn());
      RETURN_IF_ERROR(ReadDirectory(&group));
    }
    return group;
  }

  absl::Status ReadDirectory(Group* group) {
    int64_t bytes = 0;
    for (const auto& reader : readers_) {
      ASSIGN_OR_RETURN(DirectoryReader::Directory directory, reader->Next());
      for (v1::StatBlobResponse* const stat : directory.blobs) {
        bytes += static_cast<int64_t>(stat->value().size());
        group->blobs.push_back({reader->options().volume_id, stat});
      }
      group->lists.push_back(std::move(directory));
    }
    ++group->directories;
    group->bytes += bytes;
    return context_->Spend(bytes);
  }

  void StartReaders(int first_directory) {
    if (first_directory == base::kDirectoriesPerSubvolume) return;
    for (const v1::Volume& volume : map_.volumes()) {
      for (int i = 0; i < map_.subvolumes_per_volume(); ++i) {
        if (volume.state() != v1::VOLUME_STATE_UP ||
            Without(Place(volume.volume_id(), i))) {
          continue;
        }
        DirectoryReader::Options options;
        options.volume_id = volume.volume_id();
        options.subvolume = i;
        options.grpc_address = volume.grpc_address();
        options.first_directory = first_directory;
        options.value_bytes_max = map_.inline_bytes_max();
        readers_.push_back(
            std::make_unique<DirectoryReader>(std::move(options)));
      }
    }
  }

  absl::Status MergeGroup(Group* group) {
    const auto count = static_cast<int64_t>(group->blobs.size());
    MergeRules rules;
    rules.copies_missing = !request_.without_volume_ids().empty() ||
                           !request_.without_subvolumes().empty();
    rules.now_ms = options_.clock->NowMs();
    const MergeResult merged = MergeBlobs(map_, rules, std::move(group->blobs));
    RETURN_IF_ERROR(
        writer_->Add(merged, group->directories, count, absl::Now()));
    for (const std::string& problem : merged.problems) {
      context_->AddProblem(problem);
    }
    context_->Add(merged.keys + merged.tombstones, group->bytes);
    context_->SetTotals((cursor().keys() + cursor().tombstones()) *
                            base::kDirectoriesPerSubvolume /
                            cursor().next_directory(),
                        0);
    return absl::OkStatus();
  }

  // The index holds all: from here on it is believed.
  absl::Status Finish() {
    context_->SetPhase("making the cluster serve");
    // The volumes may have changed address since.
    RETURN_IF_ERROR(WaitVolumes());
    RETURN_IF_ERROR(options_.clock->AdvanceTo(cursor().version_time_ms_max()));
    // New writers must not have the ids of those whose blobs are there.
    int64_t writer_id = 0;
    while (writer_id < int64_t{cursor().writer_id_max()}) {
      ASSIGN_OR_RETURN(writer_id, options_.index->NextNumber("writer_id"));
    }
    RETURN_IF_ERROR(options_.mark->Restore(
        std::max(mark_max_, options_.mark->value()) + 1));
    RETURN_IF_ERROR(NoteUnlisted(options_.index, request_));
    RETURN_IF_ERROR(options_.membership->Recover(map_));
    RETURN_IF_ERROR(options_.index->SetMeta(kBegunName, ""));
    options_.on_done();
    return absl::OkStatus();
  }

  std::string Summary() const {
    return absl::StrCat(
        cursor().keys(), " keys and ", cursor().tombstones(), " deleted keys ",
        context_->dry_run() ? "would be taken" : "were taken", " from ",
        cursor().blobs(), " blobs; ", cursor().removals(),
        context_->dry_run() ? " blobs would be removed"
                            : " blobs wait for removal");
  }

  const RebuildJob::Options& options_;
  JobContext* const context_;
  v1::RebuildRequest request_;
  std::unique_ptr<RestoreWriter> writer_;
  v1::ClusterMap map_;
  int64_t mark_max_ = 0;
  std::vector<std::unique_ptr<DirectoryReader>> readers_;
};

}  // namespace

absl::Status RebuildJob::Run(JobContext* context) {
  return Rebuild(&options_, context).Run();
}

absl::StatusOr<bool> RebuildJob::HasBegun(index::IndexStore* index) {
  const auto begun = index->GetMeta(kBegunName);
  if (absl::IsNotFound(begun.status())) return false;
  RETURN_IF_ERROR(begun.status());
  return !begun->empty();
}

}  // namespace cairn::master

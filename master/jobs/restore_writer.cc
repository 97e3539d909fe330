#include "master/jobs/restore_writer.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/status.h"

namespace cairn::master {

RestoreWriter::RestoreWriter(Options options, v1::RebuildCursor cursor)
    : options_(std::move(options)), cursor_(std::move(cursor)) {}

absl::Status RestoreWriter::Add(const MergeResult& merged, int directories,
                                int64_t blobs, absl::Time now) {
  if (options_.index != nullptr) {
    RETURN_IF_ERROR(base::Annotate(
        options_.index->Restore(merged.restores, merged.removals),
        "writing the index"));
  }
  Count(merged, directories, blobs);
  const bool due = now - saved_at_ >= base::kRebuildNoteInterval;
  return due ? Save(now) : absl::OkStatus();
}

absl::Status RestoreWriter::Save(absl::Time now) {
  if (options_.index == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(options_.save(cursor_));
  saved_at_ = now;
  return absl::OkStatus();
}

void RestoreWriter::Count(const MergeResult& merged, int directories,
                          int64_t blobs) {
  cursor_.set_next_directory(cursor_.next_directory() + directories);
  cursor_.set_blobs(cursor_.blobs() + blobs);
  cursor_.set_keys(cursor_.keys() + merged.keys);
  cursor_.set_tombstones(cursor_.tombstones() + merged.tombstones);
  cursor_.set_removals(cursor_.removals() + merged.removals_count);
  cursor_.set_version_time_ms_max(
      std::max(cursor_.version_time_ms_max(), merged.version_time_ms_max));
  cursor_.set_writer_id_max(
      std::max(cursor_.writer_id_max(), merged.writer_id_max));
}

}  // namespace cairn::master

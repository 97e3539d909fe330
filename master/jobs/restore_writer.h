// Puts merged directories into an index that is being made again, and notes
// how far it has got.
//
// The note never names a directory whose records could still be lost: it is
// written behind them, and whoever finds it after a crash finds them too.

#ifndef CAIRN_MASTER_JOBS_RESTORE_WRITER_H_
#define CAIRN_MASTER_JOBS_RESTORE_WRITER_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "index/index_store.h"
#include "master/jobs/blob_merge.h"
#include "proto/cairn/v1/admin.pb.h"

namespace cairn::master {

// One thread at a time. Blocks on the index.
class RestoreWriter {
 public:
  struct Options {
    // Outlives the writer; nullptr: a dry run, which only counts.
    index::IndexStore* index = nullptr;
    // Durable when it returns.
    std::function<absl::Status(const v1::RebuildCursor&)> save;
  };
  // Goes on behind `cursor`.
  RestoreWriter(Options options, v1::RebuildCursor cursor);

  // Takes in all of the next `directories`, which had so many blobs. Notes it
  // if the last note is older than kRebuildNoteInterval. Not OK: they count as
  // not taken in, and may be given again.
  absl::Status Add(const MergeResult& merged, int directories, int64_t blobs,
                   absl::Time now);
  // Notes all that was taken in.
  absl::Status Save(absl::Time now);

  // What was taken in, noted or not.
  const v1::RebuildCursor& cursor() const { return cursor_; }

 private:
  void Count(const MergeResult& merged, int directories, int64_t blobs);

  const Options options_;
  v1::RebuildCursor cursor_;
  absl::Time saved_at_ = absl::InfinitePast();
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_RESTORE_WRITER_H_

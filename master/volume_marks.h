// The highest mark that each volume has said to have on its disk. One that
// comes with a lower one has been set back: restored from a backup.

#ifndef CAIRN_MASTER_VOLUME_MARKS_H_
#define CAIRN_MASTER_VOLUME_MARKS_H_

#include <cstdint>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "index/index_store.h"

namespace cairn::master {

// Thread safety: any method from any thread.
class VolumeMarks {
 public:
  // `index` must outlive the marks. Blocks.
  static absl::StatusOr<std::unique_ptr<VolumeMarks>> Open(
      index::IndexStore* index);

  // 0: nothing is known of this volume.
  int64_t Of(uint32_t volume_id);
  // Never lowers one.
  void Note(uint32_t volume_id, int64_t mark);

  // Makes what was noted durable, if that is more than before. Call about
  // every second, from one thread: a volume that is set back within that time
  // after a crash of the master goes unnoticed. Blocks.
  absl::Status Store();

 private:
  explicit VolumeMarks(index::IndexStore* index) : index_(index) {}

  index::IndexStore* const index_;
  base::Mutex mu_;
  std::map<uint32_t, int64_t> marks_ ABSL_GUARDED_BY(mu_);
  bool changed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_VOLUME_MARKS_H_

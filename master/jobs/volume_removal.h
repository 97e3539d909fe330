// Takes volumes out of the cluster for good.

#ifndef CAIRN_MASTER_JOBS_VOLUME_REMOVAL_H_
#define CAIRN_MASTER_JOBS_VOLUME_REMOVAL_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "index/index_store.h"
#include "master/commit_queue.h"
#include "master/membership.h"

namespace cairn::master {

// Thread safety: any method from any thread.
class VolumeRemoval {
 public:
  // All outlive this.
  VolumeRemoval(index::IndexStore* index, Membership* membership,
                CommitQueue* commits)
      : index_(index), membership_(membership), commits_(commits) {}

  // Removes a volume that no key names. The errors are those of
  // AdminService.RemoveVolume. Blocks: reads the whole index.
  absl::Status Remove(uint32_t volume_id, bool dry_run);

  // Not OK: the mutation names a volume that is being removed just now. For
  // the check of CommitQueue.
  absl::Status CheckMutation(const index::Mutation& mutation) const;

  // Forgets what is queued for volumes that were removed: their unlinks are
  // nobody's business any more. Blocks.
  absl::Status ForgetQueues();

 private:
  // OK: no key and no tombstone names the volume.
  absl::Status CheckUnnamed(uint32_t volume_id);
  // Commits that were checked before have been written when it returns.
  void WaitForCommits();
  absl::Status ForgetQueue(uint32_t volume_id);

  index::IndexStore* const index_;
  Membership* const membership_;
  CommitQueue* const commits_;
  // One removal at a time; held across all of it.
  base::Mutex remove_mu_;
  // The volume whose removal has begun; 0: none. Set before the index is read;
  // a commit that sees the old value is waited for.
  std::atomic<uint32_t> leaving_{0};
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_VOLUME_REMOVAL_H_

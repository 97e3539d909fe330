// BlobMover moves copies from volume to volume so that no moment and no crash
// leaves a key with fewer copies, or a file that nobody knows of.
//
// The steps of a group (docs/architecture.md, "Moving copies"):
//   1. The blobs to be made are held: nobody removes them (held_blobs.h).
//   2. They enter the removal queue, durably: were the master to die now, they
//      would be removed.
//   3. The target's agent pulls them from the source's, checks them against
//      what the index says, and syncs.
//   4. The index commits, key by key, if version and replicas are still those
//      that were planned with: the new place is in the record, its entry leaves
//      the queue, that of the old place enters it. Leases are revoked first, as
//      for any write.
//   5. Those that were not committed are still in the queue; the hold ends.

#ifndef CAIRN_MASTER_JOBS_BLOB_MOVER_H_
#define CAIRN_MASTER_JOBS_BLOB_MOVER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "index/index_store.h"
#include "master/agents.h"
#include "master/commit_queue.h"
#include "master/held_blobs.h"
#include "master/jobs/copy_agents.h"
#include "master/jobs/placement_plan.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::master {

// One copy on its way.
struct BlobMove {
  std::string key;
  v1::Record record;  // As it was planned with.
  PlannedMove move;
  // Not set: from the source. Else the value, which the index has too.
  absl::optional<std::string> value;
};

// Thread safety: any method from any thread.
class BlobMover {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // All outlive the mover.
    CommitQueue* commits = nullptr;
    HeldBlobs* held = nullptr;
    CopyAgents* copies = nullptr;
    Agents* agents = nullptr;
    int64_t fencing_number = 0;
    // The queue of this volume has entries that nobody works on.
    std::function<void(uint32_t volume_id)> on_removals;
  };
  explicit BlobMover(Options options) : options_(std::move(options)) {}

  // Moves copies that all go from `source` (or the index) to `target`, at most
  // kMoveGroupKeys; returns what became of each. OK: it has moved. kAborted:
  // the key has changed; plan it again. kAlreadyExists: its target's place is
  // in use, until an older copy there has been removed; try again later.
  // kNotFound, kDataLoss: the source has no good copy. Else: it could not be
  // moved now.
  // Blocks. `go_on` is asked while an outcome is unknown; when it is not OK
  // the rest stays undecided, and held.
  std::vector<absl::Status> Move(const v1::Volume& source,
                                 const v1::Volume& target,
                                 const std::vector<BlobMove>& moves,
                                 const std::function<absl::Status()>& go_on);

 private:
  struct Group;

  void Hold(Group* group);
  absl::Status Announce(Group* group);
  void Copy(const v1::Volume& source, const v1::Volume& target, Group* group);
  void CopySmall(const v1::Volume& source, const v1::Volume& target,
                 const std::vector<size_t>& places, Group* group);
  void PutValues(const v1::Volume& target, const std::vector<size_t>& places,
                 Group* group);
  absl::Status CopyOne(const v1::Volume& source, const v1::Volume& target,
                       const BlobMove& move);
  void Commit(Group* group, const std::function<absl::Status()>& go_on);
  std::vector<absl::Status> CommitOnce(const Group& group,
                                       const std::vector<size_t>& places);
  void Settle(uint32_t target_id, Group* group);

  const Options options_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_BLOB_MOVER_H_

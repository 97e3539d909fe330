// Works off the removal queue: has the agents unlink what was replaced,
// deleted or disowned, and takes an entry out once its unlink is confirmed.
//
// Fresh entries come straight from the commits that made them, in memory; the
// index is read only for what is left from before a restart, from a time when
// the volume was down, or when memory overflowed.

#ifndef CAIRN_MASTER_REMOVAL_JOB_H_
#define CAIRN_MASTER_REMOVAL_JOB_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "client/metadata_client.h"
#include "index/index_store.h"
#include "master/agents.h"
#include "master/held_blobs.h"

namespace cairn::master {

// Thread safety: any method from any thread.
class RemovalJob {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // Outlives the job, as do agents.
    Agents* agents = nullptr;
    std::function<std::shared_ptr<const client::ClusterView>()> view;
    std::function<int64_t()> now_ms;  // The index's clock.
    int64_t fencing_number = 0;
    // What jobs are about to make is left alone. Outlives the job; nullptr: no
    // job makes anything.
    HeldBlobs* held = nullptr;
    // True: no tombstone is forgotten now. May be empty.
    std::function<bool()> keep_tombstones;
    absl::Duration retry_pause;  // Zero: kRemovalRetryPause.
  };
  explicit RemovalJob(Options options);
  // Answers of agents must have stopped coming.
  ~RemovalJob();

  void Start();
  // Ends the thread; unlinks under way are not waited for, the index still
  // has their entries.
  void Stop();

  // Entries that are new in the index's queue. Never blocks.
  void Add(std::vector<index::Removal> fresh);
  // The index's queue has entries for this volume that nobody works on.
  void NoteBacklog(uint32_t volume_id);

 private:
  // The work for one volume.
  struct Lane {
    std::deque<index::Removal> fresh;
    // The index has entries that are not in `fresh`; true after a start.
    bool backlog = true;
    // NoteBacklog() during a scan: what it has passed must be read again.
    bool scan_again = false;
    std::string cursor;  // Of the scan under way; "" when it begins.
    bool under_way = false;
    absl::Time retry_at = absl::InfinitePast();
  };
  // Entries that were sent to one agent together.
  struct Group;

  void Run();
  void FinishGroups(std::vector<std::shared_ptr<Group>> groups);
  // Starts a group for each volume that is up and idle.
  void StartGroups();
  // Entries to unlink now, from memory or from the index; may be none.
  std::vector<index::Removal> Take(uint32_t volume_id);
  std::vector<index::Removal> TakeFresh(uint32_t volume_id, bool* backlog,
                                        std::string* cursor);
  void EndScanPage(uint32_t volume_id, bool at_end, const std::string& cursor);
  void Send(uint32_t volume_id, std::vector<index::Removal> entries);
  void OnAnswer(const std::shared_ptr<Group>& group, size_t place, bool ok);
  void SweepTombstones();

  const Options options_;
  const absl::Duration retry_pause_;
  absl::Time swept_at_ = absl::InfinitePast();  // The thread's own.

  base::Mutex mu_;
  base::CondVar work_;
  // By volume id.
  std::map<uint32_t, Lane> lanes_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<Group>> answered_ ABSL_GUARDED_BY(mu_);
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_REMOVAL_JOB_H_

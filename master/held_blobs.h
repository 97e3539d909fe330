// Keeps those who copy blobs and those who remove them apart: a blob that a job
// is about to make is in the removal queue already, so that a crash leaves
// nothing stray, and must not be removed while it is made.

#ifndef CAIRN_MASTER_HELD_BLOBS_H_
#define CAIRN_MASTER_HELD_BLOBS_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "base/mutex.h"
#include "index/index_store.h"

namespace cairn::master {

// In memory alone: after a restart of the master nothing is being copied, and
// what the queue holds may be removed. Thread safety: any method from any
// thread; nothing blocks.
class HeldBlobs {
 public:
  // Who is about to make the blob. False: another job makes it, or it is being
  // removed just now.
  bool TryHold(const index::Removal& blob);
  void Release(const index::Removal& blob);
  bool IsHeld(const index::Removal& blob);

  // Who is about to remove these: those that may be. What is left out stays in
  // the queue, for whoever holds it. Each that is returned ends with
  // EndRemoval(), after its entry has left the queue.
  std::vector<index::Removal> BeginRemoval(std::vector<index::Removal> blobs);
  void EndRemoval(const std::vector<index::Removal>& blobs);

 private:
  static std::string NameOf(const index::Removal& blob);

  base::Mutex mu_;
  absl::flat_hash_set<std::string> held_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<std::string> going_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_HELD_BLOBS_H_
